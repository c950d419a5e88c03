// Which windows to send to a free device, and when: the whole of the queue's judgement as one pure function.
//
// No threads, no clock, no locks: (what waits, options, now) -> a batch | wait until t.
//
// Windows wait in buckets of one model and one exact length, since only those share a batch. Of the buckets that are ripe,
// the one whose turn it is by fairness goes first (fair_queue.h, where the longest wait is stated, too).
#ifndef CULTURETAG_BATCHING_BATCH_POLICY_H_
#define CULTURETAG_BATCHING_BATCH_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "observability/metric_labels.h"

namespace culturetag {

struct BatchPolicyOptions {
  // How long a free device waits for a fuller batch. 0, the default: not at all; the batch forms while the device is busy,
  // and a delay would add to every request's latency. Worth setting where energy counts for more than latency.
  absl::Duration max_queue_delay = absl::ZeroDuration();
};

// When it is a bucket's turn: the virtual times of the class and of the client that are next in it, and when that client's
// windows of this bucket were last served. The smallest comes first.
struct Turn {
  double class_time = 0;
  double client_time = 0;
  uint64_t last_turn = 0;

  friend bool operator<(const Turn& a, const Turn& b) {
    return std::tie(a.class_time, a.client_time, a.last_turn) < std::tie(b.class_time, b.client_time, b.last_turn);
  }
};

struct BucketState {
  int waiting_windows = 0;    // > 0
  int max_batch_windows = 1;  // the most windows in a batch of this bucket's model, at least 1
  absl::Time waiting_since;   // the later of its last turn and the arrival of its first window since it was empty
  Turn turn;
  absl::Time latest_start = absl::InfiniteFuture();  // a pass that starts later may miss the earliest deadline
};

// Sends `windows` of the bucket at index `bucket` to the device.
struct BatchDecision {
  size_t bucket = 0;
  int windows = 0;
  BatchCloseReason reason = BatchCloseReason::kIdle;
};

// What a free device should do at `now`. With `draining`, nothing is waited for. Nothing if no bucket is ripe; then
// NextDecisionTime says when to ask again.
absl::optional<BatchDecision> DecideBatch(absl::Span<const BucketState> buckets, const BatchPolicyOptions& options,
                                          bool draining, absl::Time now);

// When the first of `buckets` becomes ripe if nothing else arrives; InfiniteFuture if there are none.
absl::Time NextDecisionTime(absl::Span<const BucketState> buckets, const BatchPolicyOptions& options);

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_BATCH_POLICY_H_
