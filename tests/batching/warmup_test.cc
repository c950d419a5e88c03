#include "batching/warmup.h"

#include <atomic>
#include <set>

#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

class WarmupTest : public testing::Test {
 protected:
  FakeClock clock_;
  FakeModel model_{FakeSpec(), &clock_};
  std::atomic<bool> stop_{false};
};

TEST_F(WarmupTest, FindsThatBatchesDontPayWhereEveryWindowCostsTheSame) {
  model_.SetCost(absl::ZeroDuration(), absl::Milliseconds(10));
  const auto report = WarmUp(model_, 0, clock_, stop_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->max_batch_windows, 1);
  EXPECT_EQ(report->window_device_time, absl::Milliseconds(10));
}

TEST_F(WarmupTest, GrowsTheBatchAsLongAsThatSavesATwentiethOfAWindow) {
  // 40 ms a pass and 10 ms a window: 50, 30, 20, 15, 12.5, 11.25, 10.625 ms a window in batches of 1, 2, 4, ... 64.
  model_.SetCost(absl::Milliseconds(40), absl::Milliseconds(10));
  const auto report = WarmUp(model_, 0, clock_, stop_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->max_batch_windows, 64);
  EXPECT_EQ(report->window_device_time, absl::Microseconds(10625));
}

TEST_F(WarmupTest, RunsEverySizeUpToTheLargestSoThatNoneIsColdLater) {
  ASSERT_TRUE(WarmUp(model_, 5, clock_, stop_).ok());
  std::set<size_t> sizes;
  for (const FakeModel::Pass& pass : model_.passes()) {
    sizes.insert(pass.firsts.size());
    EXPECT_EQ(pass.length, 100U);
  }
  EXPECT_EQ(sizes, (std::set<size_t>{1, 2, 3, 4, 5}));
}

TEST_F(WarmupTest, StaysBelowTheBatchForWhichTheDeviceHasNoMemory) {
  model_.SetCost(absl::Milliseconds(40), absl::Milliseconds(1));
  model_.FailWith([](size_t windows) {
    return windows > 8 ? absl::ResourceExhaustedError("no memory") : absl::OkStatus();
  });
  const auto report = WarmUp(model_, 0, clock_, stop_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->max_batch_windows, 8);
}

TEST_F(WarmupTest, ReportsAModelThatFails) {
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  EXPECT_EQ(WarmUp(model_, 0, clock_, stop_).status(), absl::InternalError("lost"));
}

TEST_F(WarmupTest, EndsWhenItIsStopped) {
  stop_ = true;
  EXPECT_EQ(WarmUp(model_, 0, clock_, stop_).status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(model_.passes().empty());
}

}  // namespace
}  // namespace culturetag
