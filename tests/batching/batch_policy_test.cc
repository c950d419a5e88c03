#include "batching/batch_policy.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

absl::Time At(int64_t milliseconds) { return absl::FromUnixMillis(milliseconds); }

TEST(BatchPolicyTest, DoesNothingWithoutWindows) {
  EXPECT_FALSE(DecideBatch({}, {}, false, At(0)).has_value());
  EXPECT_EQ(NextDecisionTime({}, {}), absl::InfiniteFuture());
}

TEST(BatchPolicyTest, SendsWhatWaitsToAFreeDeviceAtOnce) {
  const std::vector<BucketState> buckets = {{3, 8, At(0), {}}};
  const auto decision = DecideBatch(buckets, {}, false, At(0));
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->windows, 3);
  EXPECT_EQ(decision->reason, BatchCloseReason::kIdle);
}

TEST(BatchPolicyTest, NeverSendsMoreThanTheLargestBatch) {
  const std::vector<BucketState> buckets = {{100, 8, At(0), {}}};
  const auto decision = DecideBatch(buckets, {}, false, At(0));
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->windows, 8);
  EXPECT_EQ(decision->reason, BatchCloseReason::kFull);
}

TEST(BatchPolicyTest, ServesTheBucketWhoseTurnItIsThoughAnotherIsFuller) {
  const std::vector<BucketState> buckets = {{100, 8, At(0), {1, 0, 0}}, {1, 8, At(4), {0, 9, 9}}, {50, 8, At(0), {0, 9, 10}}};
  const auto decision = DecideBatch(buckets, {}, false, At(10));
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->bucket, 1U);
}

TEST(BatchPolicyTest, WaitsForAFullerBatchUpToTheDelay) {
  const BatchPolicyOptions options{absl::Milliseconds(20)};
  const std::vector<BucketState> buckets = {{3, 8, At(100), {}}};
  EXPECT_FALSE(DecideBatch(buckets, options, false, At(119)).has_value());
  EXPECT_EQ(NextDecisionTime(buckets, options), At(120));
  const auto decision = DecideBatch(buckets, options, false, At(120));
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->reason, BatchCloseReason::kDelay);
}

TEST(BatchPolicyTest, DoesNotDelayAFullBatch) {
  const BatchPolicyOptions options{absl::Milliseconds(20)};
  const std::vector<BucketState> buckets = {{3, 8, At(90), {}}, {8, 8, At(100), {}}};
  const auto decision = DecideBatch(buckets, options, false, At(100));
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->bucket, 1U);
  EXPECT_EQ(decision->reason, BatchCloseReason::kFull);
}

TEST(BatchPolicyTest, WaitsForNothingWhileDraining) {
  const BatchPolicyOptions options{absl::Hours(1)};
  const std::vector<BucketState> buckets = {{3, 8, At(100), {}}};
  const auto decision = DecideBatch(buckets, options, true, At(100));
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->reason, BatchCloseReason::kDrain);
}

// Over random states: the decision fits the bucket; it is no other ripe bucket's turn; and when nothing is ripe, something
// is as soon as NextDecisionTime says, and not a moment before.
TEST(BatchPolicyTest, IsFairAndPunctualForRandomStates) {
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    std::vector<BucketState> buckets(1 + random() % 5);
    for (BucketState& bucket : buckets) {
      bucket = {static_cast<int>(1 + random() % 20), static_cast<int>(1 + random() % 16), At(static_cast<int64_t>(random() % 100)),
                {static_cast<double>(random() % 2), static_cast<double>(random() % 3), random()}};
    }
    const BatchPolicyOptions options{absl::Milliseconds(static_cast<int64_t>(random() % 60))};
    const absl::Time now = At(100);
    const auto ripe = [&](const BucketState& bucket) {
      return bucket.waiting_windows >= bucket.max_batch_windows || now - bucket.waiting_since >= options.max_queue_delay;
    };
    const auto decision = DecideBatch(buckets, options, false, now);
    if (!decision.has_value()) {
      const absl::Time next = NextDecisionTime(buckets, options);
      EXPECT_FALSE(DecideBatch(buckets, options, false, next - absl::Nanoseconds(1)).has_value());
      EXPECT_TRUE(DecideBatch(buckets, options, false, next).has_value());
      continue;
    }
    const BucketState& chosen = buckets[decision->bucket];
    EXPECT_TRUE(ripe(chosen));
    EXPECT_GE(decision->windows, 1);
    EXPECT_LE(decision->windows, chosen.max_batch_windows);
    EXPECT_LE(decision->windows, chosen.waiting_windows);
    for (const BucketState& other : buckets) {
      EXPECT_FALSE(ripe(other) && other.turn < chosen.turn);
    }
  }
}

}  // namespace
}  // namespace culturetag
