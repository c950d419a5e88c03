#include "base/log_limiter.h"

#include "fakes/fake_clock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

TEST(LogLimiterTest, LetsSoManyLinesPassInAPeriod) {
  FakeClock clock;
  LogLimiter limiter(2, absl::Seconds(1), clock);
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
}

TEST(LogLimiterTest, TellsTheNextLineHowManyWereSuppressed) {
  FakeClock clock;
  LogLimiter limiter(1, absl::Seconds(1), clock);
  EXPECT_EQ(limiter.Admit(), 0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limiter.Admit(), absl::nullopt);
  clock.Advance(absl::Milliseconds(999));
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
  clock.Advance(absl::Milliseconds(1));
  EXPECT_EQ(limiter.Admit(), 1001);
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(limiter.Admit(), 0);
}

}  // namespace
}  // namespace culturetag
