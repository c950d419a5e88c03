#include "base/clock.h"

#include <thread>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

TEST(RealClockTest, NeverRunsBackwards) {
  absl::Time before = Clock::Real().Now();
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = Clock::Real().Now();
    ASSERT_GE(now, before);
    before = now;
  }
}

TEST(RealClockTest, IsOneForTheProcess) { EXPECT_EQ(&Clock::Real(), &Clock::Real()); }

TEST(RealClockTest, ReturnsAtOnceIfTheConditionHolds) {
  absl::Mutex mutex;
  const bool ready = true;
  absl::MutexLock lock(&mutex);
  EXPECT_TRUE(Clock::Real().AwaitUntil(mutex, absl::Condition(&ready), absl::InfiniteFuture()));
}

TEST(RealClockTest, ReturnsFalseOnceTheDeadlineHasPassed) {
  absl::Mutex mutex;
  const bool ready = false;
  const absl::Time deadline = Clock::Real().Now() + absl::Milliseconds(1);
  absl::MutexLock lock(&mutex);
  EXPECT_FALSE(Clock::Real().AwaitUntil(mutex, absl::Condition(&ready), deadline));
  EXPECT_GE(Clock::Real().Now(), deadline);
}

TEST(RealClockTest, WakesWhenAnotherThreadMakesTheConditionHold) {
  absl::Mutex mutex;
  bool ready = false;
  std::thread setter([&] {
    absl::MutexLock lock(&mutex);
    ready = true;
  });
  {
    absl::MutexLock lock(&mutex);
    EXPECT_TRUE(Clock::Real().AwaitUntil(mutex, absl::Condition(&ready), absl::InfiniteFuture()));
  }
  setter.join();
}

}  // namespace
}  // namespace culturetag
