#include "simulator/fairness_meter.h"

#include "gtest/gtest.h"
#include "simulator/arrivals.h"

namespace culturetag::simulator {
namespace {

constexpr size_t kInteractive = static_cast<size_t>(Priority::kInteractive);

class FairnessMeterTest : public testing::Test {
 protected:
  absl::optional<double> EndSlice(double seconds, const std::map<std::string, double>& weights = {}) {
    std::array<MeanFairness, kPriorityCount> means;
    meter_.EndSlice(At(seconds), weights, means);
    return means[kInteractive].mean();
  }

  FairnessMeter meter_;
  const std::shared_ptr<Request> a_ = MakeRequest(0, "a", 500), b_ = MakeRequest(0, "b", 500);
};

TEST_F(FairnessMeterTest, IsOneIfAllGotTheSameAndOneNthIfOneGotAll) {
  EXPECT_DOUBLE_EQ(JainIndex({3, 3, 3}), 1);
  EXPECT_DOUBLE_EQ(JainIndex({0, 0, 5, 0}), 0.25);
  EXPECT_DOUBLE_EQ(JainIndex({1, 2, 3}), 36.0 / (3 * 14));
}

TEST_F(FairnessMeterTest, ComparesWhatCompetitorsWereServed) {
  meter_.Queued(*a_, At(0));
  meter_.Queued(*b_, At(0));
  meter_.Taken(*a_, 3);
  meter_.Taken(*b_, 1);
  EXPECT_DOUBLE_EQ(*EndSlice(10), 16.0 / (2 * 10));
}

TEST_F(FairnessMeterTest, CountsByWeight) {
  meter_.Queued(*a_, At(0));
  meter_.Queued(*b_, At(0));
  meter_.Taken(*a_, 3);
  meter_.Taken(*b_, 1);
  EXPECT_DOUBLE_EQ(*EndSlice(10, {{"a", 3}}), 1);
}

TEST_F(FairnessMeterTest, LeavesOutWhoDidNotWaitAllTheTime) {
  meter_.Queued(*a_, At(0));
  meter_.Queued(*b_, At(1));
  meter_.Taken(*a_, 3);
  EXPECT_FALSE(EndSlice(10).has_value());  // b came late
  meter_.Taken(*a_, 2);
  meter_.Taken(*b_, 2);
  EXPECT_DOUBLE_EQ(*EndSlice(20), 1);  // what was served before doesn't count
  meter_.Left(*b_, b_->windows - 2);
  EXPECT_FALSE(EndSlice(30).has_value());
}

TEST_F(FairnessMeterTest, IsTheMeanOfItsSlices) {
  EXPECT_DOUBLE_EQ(*(MeanFairness{1.5, 2}).mean(), 0.75);
  EXPECT_FALSE(MeanFairness().mean().has_value());
}

}  // namespace
}  // namespace culturetag::simulator
