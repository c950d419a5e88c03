#include "client/bench/latency_histogram.h"

#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

TEST(LatencyHistogramTest, IsZeroWithoutValues) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.mean(), absl::ZeroDuration());
  EXPECT_EQ(histogram.Percentile(99), absl::ZeroDuration());
}

TEST(LatencyHistogramTest, IsExactUpToTwoMilliseconds) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.Add(absl::Microseconds(2 * i));
  EXPECT_EQ(histogram.Percentile(0.1), absl::Microseconds(2));
  EXPECT_EQ(histogram.Percentile(50), absl::Microseconds(1000));
  EXPECT_EQ(histogram.Percentile(99.9), absl::Microseconds(1998));
  EXPECT_EQ(histogram.Percentile(100), absl::Microseconds(2000));
  EXPECT_EQ(histogram.mean(), absl::Microseconds(1001));
}

TEST(LatencyHistogramTest, KeepsEveryValueToAThousandth) {
  for (absl::Duration value = absl::Milliseconds(1); value < absl::Hours(1); value *= 1.37) {
    LatencyHistogram histogram;
    histogram.Add(value);
    histogram.Add(absl::Hours(2));  // so that max() doesn't bound it
    const absl::Duration found = histogram.Percentile(50);
    EXPECT_GE(found, absl::Trunc(value, absl::Microseconds(1)));
    EXPECT_LE(found, value * (1 + 1.0 / 1024));
  }
}

TEST(LatencyHistogramTest, NeverReportsMoreThanTheLargestValue) {
  LatencyHistogram histogram;
  histogram.Add(absl::Microseconds(1234567));
  EXPECT_EQ(histogram.Percentile(99), absl::Microseconds(1234567));
  EXPECT_EQ(histogram.max(), absl::Microseconds(1234567));
}

TEST(LatencyHistogramTest, BoundsItsValues) {
  LatencyHistogram histogram;
  histogram.Add(absl::Seconds(-1));
  histogram.Add(absl::InfiniteDuration());
  EXPECT_EQ(histogram.Percentile(50), absl::ZeroDuration());
  EXPECT_EQ(histogram.max(), absl::Hours(2));
}

}  // namespace
}  // namespace culturetag::client
