#include "client/bench/latency_histogram.h"

#include <algorithm>
#include <cmath>

namespace culturetag::client {
namespace {

// Buckets of a power of two. Values below it have a bucket each.
constexpr int kBits = 10;
constexpr uint64_t kBuckets = uint64_t{1} << kBits;
constexpr absl::Duration kMax = absl::Hours(2);

// How many low bits of `value` a bucket leaves open.
int OpenBits(uint64_t value) {
  int bits = 0;
  while ((value >> bits) >= 2 * kBuckets) ++bits;
  return bits;
}

}  // namespace

// With b open bits the upper bits of a value, u = value >> b, are in [kBuckets, 2 * kBuckets): row b of the buckets,
// which the rows of smaller values precede. Values below kBuckets are in row 0 with u < kBuckets.
std::size_t LatencyHistogram::BucketOf(uint64_t microseconds) {
  const int bits = OpenBits(microseconds);
  return static_cast<std::size_t>(static_cast<uint64_t>(bits) * kBuckets + (microseconds >> bits));
}

uint64_t LatencyHistogram::EndOf(std::size_t bucket) {
  if (bucket < 2 * kBuckets) return bucket;
  const uint64_t bits = bucket / kBuckets - 1;
  const uint64_t upper = bucket - bits * kBuckets;
  return ((upper + 1) << bits) - 1;
}

void LatencyHistogram::Add(absl::Duration value) {
  value = std::clamp(value, absl::ZeroDuration(), kMax);
  const std::size_t bucket = BucketOf(static_cast<uint64_t>(absl::ToInt64Microseconds(value)));
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
  sum_ += value;
  max_ = std::max(max_, value);
}

absl::Duration LatencyHistogram::mean() const {
  return count_ == 0 ? absl::ZeroDuration() : sum_ / static_cast<double>(count_);
}

absl::Duration LatencyHistogram::Percentile(double percent) const {
  // 99.9 % of 1000 values are 999, though the product of the doubles is a little more.
  constexpr double kRounding = 1e-6;
  const auto wanted = static_cast<int64_t>(std::ceil(percent / 100 * static_cast<double>(count_) - kRounding));
  int64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) return std::min(absl::Microseconds(static_cast<int64_t>(EndOf(bucket))), max_);
  }
  return max_;
}

}  // namespace culturetag::client
