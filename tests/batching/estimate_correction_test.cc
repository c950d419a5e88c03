#include "batching/estimate_correction.h"

#include <random>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

constexpr absl::Duration kEstimate = absl::Seconds(1);

TEST(EstimateCorrectionTest, TrustsEstimatesThatAreEnough) {
  EstimateCorrection correction;
  for (int i = 0; i < 1000; ++i) correction.Observe(kEstimate, kEstimate / 2);
  EXPECT_EQ(correction.Corrected(kEstimate), kEstimate);
}

TEST(EstimateCorrectionTest, DoublesEstimatesAfterAFewMisses) {
  EstimateCorrection correction;
  for (int i = 0; i < 8; ++i) correction.Observe(kEstimate, absl::InfiniteDuration());
  EXPECT_GT(correction.Corrected(kEstimate), 2 * kEstimate);
}

TEST(EstimateCorrectionTest, IsBounded) {
  EstimateCorrection correction;
  for (int i = 0; i < 1000; ++i) correction.Observe(kEstimate, absl::InfiniteDuration());
  EXPECT_NEAR(absl::ToDoubleSeconds(correction.Corrected(kEstimate)), 20, 0.001);
}

TEST(EstimateCorrectionTest, SoonForgetsAnOverloadWhenTheQueueRunsDry) {
  EstimateCorrection correction;
  for (int i = 0; i < 1000; ++i) correction.Observe(kEstimate, absl::InfiniteDuration());
  for (int i = 0; i < 6; ++i) correction.RanDry();
  EXPECT_LT(correction.Corrected(kEstimate), 1.05 * kEstimate);
}

TEST(EstimateCorrectionTest, IsEnoughForNineHundredNinetyFiveOfAThousand) {
  EstimateCorrection correction;
  std::mt19937 random(1);
  std::lognormal_distribution<double> ratio(0.5, 0.3);
  int missed = 0;
  for (int i = 0; i < 100'000; ++i) {
    const absl::Duration taken = kEstimate * ratio(random);
    if (taken > correction.Corrected(kEstimate)) ++missed;
    correction.Observe(kEstimate, taken);
  }
  EXPECT_NEAR(missed, 500, 50);
}

}  // namespace
}  // namespace culturetag
