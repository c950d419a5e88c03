#include "batching/cost_model.h"

#include "gtest/gtest.h"

namespace culturetag {
namespace {

const BucketKey kFull = {0, 1000};

TEST(CostModelTest, TakesAModelOfWhichNothingIsKnownForFree) {
  EXPECT_EQ(CostModel().Pass(kFull, 3), absl::ZeroDuration());
}

TEST(CostModelTest, RemembersEveryBatchSize) {
  CostModel cost;
  cost.Observe(kFull, 1, absl::Milliseconds(100));
  cost.Observe(kFull, 8, absl::Milliseconds(400));
  EXPECT_EQ(cost.Pass(kFull, 1), absl::Milliseconds(100));
  EXPECT_EQ(cost.Pass(kFull, 8), absl::Milliseconds(400));
}

TEST(CostModelTest, JudgesAnUnseenSizeByTheNearestOne) {
  CostModel cost;
  cost.Observe(kFull, 1, absl::Milliseconds(100));
  cost.Observe(kFull, 8, absl::Milliseconds(400));
  EXPECT_EQ(cost.Pass(kFull, 2), absl::Milliseconds(200));
  EXPECT_EQ(cost.Pass(kFull, 4), absl::Milliseconds(200));
  EXPECT_EQ(cost.Pass(kFull, 16), absl::Milliseconds(800));
}

TEST(CostModelTest, JudgesAnUnseenLengthByItsSamples) {
  CostModel cost;
  cost.Observe(kFull, 4, absl::Milliseconds(400));
  EXPECT_EQ(cost.Pass({0, 500}, 4), absl::Milliseconds(200));
  cost.Observe({0, 100}, 4, absl::Milliseconds(80));  // short windows cost more than their share
  EXPECT_EQ(cost.Pass({0, 200}, 4), absl::Milliseconds(160));
  EXPECT_EQ(cost.Pass({0, 900}, 4), absl::Milliseconds(360));
}

TEST(CostModelTest, KeepsModelsApart) {
  CostModel cost;
  cost.Observe({0, 1000}, 1, absl::Milliseconds(100));
  cost.Observe({1, 1000}, 1, absl::Milliseconds(7));
  EXPECT_EQ(cost.Pass({0, 1000}, 1), absl::Milliseconds(100));
  EXPECT_EQ(cost.Pass({1, 1000}, 1), absl::Milliseconds(7));
  EXPECT_EQ(cost.Pass({2, 1000}, 1), absl::ZeroDuration());
}

TEST(CostModelTest, FollowsADeviceThatThrottles) {
  CostModel cost;
  cost.Observe(kFull, 1, absl::Milliseconds(100));
  for (int i = 0; i < 50; ++i) cost.Observe(kFull, 1, absl::Milliseconds(200));
  EXPECT_GT(cost.Pass(kFull, 1), absl::Milliseconds(199));
  EXPECT_LE(cost.Pass(kFull, 1), absl::Milliseconds(200));
}

TEST(CostModelTest, CountsAStallForFourPasses) {
  CostModel cost;
  cost.Observe(kFull, 1, absl::Milliseconds(50));
  cost.Observe(kFull, 1, absl::Seconds(10));
  EXPECT_EQ(cost.Pass(kFull, 1), absl::Milliseconds(0.9 * 50 + 0.1 * 200));
  cost.Observe({0, 500}, 1, absl::Seconds(10));
  EXPECT_EQ(cost.Pass({0, 500}, 1), 2 * cost.Pass(kFull, 1));
}

TEST(CostModelTest, ForgetsLengthsWhenClientsSendTooManyButNotTheFullWindow) {
  CostModel cost;
  cost.Observe({0, 100000}, 1, absl::Seconds(1));
  for (size_t length = 1; length < 5000; ++length) cost.Observe({0, length}, 1, absl::Milliseconds(1));
  EXPECT_EQ(cost.Pass({0, 100000}, 1), absl::Seconds(1));
  cost.Observe({1, 100000}, 1, absl::Seconds(3));  // another model's has a place of its own
  EXPECT_EQ(cost.Pass({1, 100000}, 1), absl::Seconds(3));
}

}  // namespace
}  // namespace culturetag
