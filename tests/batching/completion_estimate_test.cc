#include "batching/completion_estimate.h"

#include <vector>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

// Two models with windows of 1 s. A batch of four takes 400 ms of the first and 800 ms of the second; a single window of
// the first 160 ms.
class CompletionEstimateTest : public testing::Test {
 protected:
  CompletionEstimateTest() : batches_{{{0, 1000}, absl::Seconds(1), 4}, {{1, 1000}, absl::Seconds(1), 4}} {
    cost_.Observe({0, 1000}, 4, absl::Milliseconds(400));
    cost_.Observe({0, 1000}, 1, absl::Milliseconds(160));
    cost_.Observe({1, 1000}, 4, absl::Milliseconds(800));
  }

  // For a request of mine to the first model.
  absl::Duration Estimate(int windows, absl::Duration device_busy, int executors = 1) {
    return EstimateCompletion({{0, 1000}, "me", Priority::kInteractive, windows, absl::Seconds(1)},
                              {queue_, cost_, batches_, {}, {}, executors, device_busy});
  }

  CostModel cost_;
  FairQueue queue_{{}};
  std::vector<FullBatch> batches_;
};

TEST_F(CompletionEstimateTest, WorksOffAudioInFullBatches) {
  EXPECT_EQ(DeviceTime(cost_, batches_[0], absl::Seconds(6)), absl::Milliseconds(600));
  EXPECT_EQ(DeviceTime(cost_, batches_[1], absl::Seconds(6)), absl::Milliseconds(1200));
}

TEST_F(CompletionEstimateTest, IsARequestsOwnPassesOnAFreeDevice) {
  EXPECT_EQ(Estimate(1, {}), absl::Milliseconds(160));
  EXPECT_EQ(Estimate(8, {}), absl::Milliseconds(800));
}

TEST_F(CompletionEstimateTest, DividesPassesAmongExecutorsButNoPassInTwo) {
  EXPECT_EQ(Estimate(8, {}, 2), absl::Milliseconds(400));
  EXPECT_EQ(Estimate(4, {}, 2), absl::Milliseconds(400));
}

TEST_F(CompletionEstimateTest, AddsTheRunningBatchAndWhatFairnessServesBefore) {
  FairQueue::Entry first({0, 1000}, "you", Priority::kInteractive, absl::Seconds(1));
  FairQueue::Entry second({1, 1000}, "they", Priority::kInteractive, absl::Seconds(1));
  queue_.Push(first, 10, absl::UnixEpoch());
  queue_.Push(second, 1, absl::UnixEpoch());
  // While my four windows are served, as many of yours, and the one of theirs by the slower model.
  EXPECT_EQ(Estimate(4, absl::Milliseconds(50)), absl::Milliseconds(50 + 400 + 200 + 400));
  queue_.Remove(first);
  queue_.Remove(second);
}

}  // namespace
}  // namespace culturetag
