#include "client/adaptive_limit.h"

#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(1);
constexpr absl::Duration kLong = absl::Milliseconds(2);

TEST(AdaptiveLimitTest, GrowsToItsMostWhileWindowsWaitLessThanTheyRun) {
  AdaptiveLimit limit(0);
  EXPECT_EQ(limit.limit(), 4);
  for (int i = 0; i < 5; ++i) limit.OnAnswer(/*queue=*/kShort, /*inference=*/kLong);
  EXPECT_EQ(limit.limit(), 5);
  for (int i = 0; i < 5000; ++i) limit.OnAnswer(kShort, kLong);
  EXPECT_EQ(limit.limit(), 64);
}

TEST(AdaptiveLimitTest, ShrinksToOneWhileTheyWaitLonger) {
  AdaptiveLimit limit(0);
  limit.OnAnswer(/*queue=*/kLong, /*inference=*/kShort);
  EXPECT_EQ(limit.limit(), 3);
  for (int i = 0; i < 100; ++i) limit.OnAnswer(kLong, kShort);
  EXPECT_EQ(limit.limit(), 1);
}

TEST(AdaptiveLimitTest, HalvesAfterARefusal) {
  AdaptiveLimit limit(0);
  limit.OnRefusal();
  EXPECT_EQ(limit.limit(), 2);
  limit.OnRefusal();
  limit.OnRefusal();
  EXPECT_EQ(limit.limit(), 1);
}

TEST(AdaptiveLimitTest, StaysWhereTheUserPutIt) {
  AdaptiveLimit limit(7);
  for (int i = 0; i < 100; ++i) limit.OnAnswer(kShort, kLong);
  limit.OnRefusal();
  EXPECT_EQ(limit.limit(), 7);
}

}  // namespace
}  // namespace culturetag::client
