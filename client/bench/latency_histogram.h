// Counts of durations with a bounded relative error and bounded memory: the idea of Gil Tene's HdrHistogram (no C or
// C++ implementation of which Debian 12 packages). Each power of two is cut into equal buckets, so that a value is
// known to within 1/1024, whether it is microseconds or minutes.
//
// Not thread-safe.
#ifndef CULTURETAG_CLIENT_BENCH_LATENCY_HISTOGRAM_H_
#define CULTURETAG_CLIENT_BENCH_LATENCY_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace culturetag::client {

class LatencyHistogram {
 public:
  // Counted in whole microseconds; negative ones as 0, those over two hours as two hours.
  void Add(absl::Duration value);

  int64_t count() const { return count_; }
  // The mean and the largest of the values themselves, not of their buckets; zero without values.
  absl::Duration mean() const;
  absl::Duration max() const { return max_; }

  // The smallest duration that at least `percent` of the values don't exceed, rounded up to its bucket's end (but never
  // above max()): 0 < percent <= 100. Zero without values.
  absl::Duration Percentile(double percent) const;

 private:
  static std::size_t BucketOf(uint64_t microseconds);
  // The largest value that falls into the bucket.
  static uint64_t EndOf(std::size_t bucket);

  std::vector<int64_t> counts_;  // grows to the largest value's bucket
  int64_t count_ = 0;
  absl::Duration sum_;
  absl::Duration max_;
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_LATENCY_HISTOGRAM_H_
