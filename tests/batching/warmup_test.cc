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

TEST_F(WarmupTest, FindsThatLongPassesDontPayWhereEveryWindowCostsTheSame) {
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  const auto report = WarmUp(model_, 0, clock_, stop_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->max_batch_windows, 1);
  EXPECT_EQ(report->window_device_time, absl::Seconds(1));
}

TEST_F(WarmupTest, TakesTheLargestShortPassWhereEveryWindowCostsTheSame) {
  model_.SetCost(absl::ZeroDuration(), absl::Milliseconds(30));  // 240 ms for 8, 480 ms for 16
  const auto report = WarmUp(model_, 0, clock_, stop_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->max_batch_windows, 8);
}

TEST_F(WarmupTest, GrowsTheBatchAsLongAsThatSavesATwentiethOfAWindow) {
  // 400 ms a pass and 100 ms a window: 500, 300, 200, 150, 125, 112.5, 106.25 ms a window in batches of 1, 2, 4, ... 64.
  model_.SetCost(absl::Milliseconds(400), absl::Milliseconds(100));
  const auto report = WarmUp(model_, 0, clock_, stop_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->max_batch_windows, 64);
  EXPECT_EQ(report->window_device_time, absl::Microseconds(106250));
  EXPECT_EQ(report->passes.at(1), absl::Milliseconds(500));
  EXPECT_EQ(report->passes.at(8), absl::Milliseconds(1200));
}

TEST_F(WarmupTest, TimesPowersOfTwoBelowABatchThatItIsGiven) {
  model_.SetCost(absl::Milliseconds(10), absl::Milliseconds(1));
  const auto report = WarmUp(model_, 5, clock_, stop_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->passes, (std::map<int, absl::Duration>{{1, absl::Milliseconds(11)}, {2, absl::Milliseconds(12)},
                                                           {4, absl::Milliseconds(14)}, {5, absl::Milliseconds(15)}}));
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

TEST_F(WarmupTest, LetsTheDeviceServeOthersBeforeEachPass) {
  std::vector<size_t> passes_before;
  ASSERT_TRUE(WarmUp(model_, 1, clock_, stop_, [&] { passes_before.push_back(model_.passes().size()); }).ok());
  EXPECT_EQ(passes_before, (std::vector<size_t>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace culturetag
