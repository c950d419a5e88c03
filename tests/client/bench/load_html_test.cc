#include "client/bench/load_html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(LoadHtmlTest, DrawsEachStepsLatencyAgainstTheGoal) {
  LoadStep slow;
  slow.offered_rate = 8;
  slow.result.latency.Add(absl::Seconds(2));
  LoadStep fast;
  fast.offered_rate = 4;
  fast.result.latency.Add(absl::Seconds(1));
  const std::string page = LoadHtml({fast, slow}, {absl::Milliseconds(500), 99});
  // 1 s is half of the 320 pixels, 2 s all of them, and the goal a quarter from below.
  EXPECT_THAT(page, HasSubstr(" 720.0,160.0 \"><title>4.00/s</title>"));
  EXPECT_THAT(page, HasSubstr(" 720.0,0.0 \"><title>8.00/s</title>"));
  EXPECT_THAT(page, HasSubstr("<line class=\"goal\" y1=\"240.0\" y2=\"240.0\""));
  EXPECT_THAT(page, HasSubstr("p99 &lt;= 0.500 s: missed"));
}

TEST(LoadHtmlTest, NeedsNothingElse) { EXPECT_THAT(LoadHtml({}, {}), Not(HasSubstr("http"))); }

}  // namespace
}  // namespace culturetag::client
