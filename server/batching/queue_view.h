// The state of the queue and its device, as the pure functions of this folder are given it: by the batcher under its lock,
// and by the simulator.
//
// A view is for one call; what it refers to belongs to the caller. The functions are pure; thread-safe.
#ifndef CULTURETAG_BATCHING_QUEUE_VIEW_H_
#define CULTURETAG_BATCHING_QUEUE_VIEW_H_

#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "batching/batch_policy.h"
#include "batching/cost_model.h"
#include "batching/estimate_correction.h"
#include "batching/fair_queue.h"
#include "batching/pending_work.h"

namespace culturetag {

// The passes in which the device works off a model's windows when many wait.
struct FullBatch {
  BucketKey key;                // the model, and the length of its full window
  absl::Duration window_audio;  // of such a window
  int windows = 1;              // the most in a batch, at least 1
};

struct QueueView {
  const FairQueue& queue;
  const CostModel& cost;
  absl::Span<const FullBatch> full_batches;  // one for each model, in their order
  const PendingWork& pending;
  const EstimateCorrection& correction;
  int executors = 1;           // that work side by side
  absl::Duration device_busy;  // until the first of them has ended its present pass
};

// What waits, as DecideBatch wants it: keys and states of the buckets, in the same order.
struct WaitingBuckets {
  std::vector<BucketKey> keys;
  std::vector<BucketState> states;
};
WaitingBuckets BucketsOf(const FairQueue& queue, const CostModel& cost, absl::Span<const FullBatch> full_batches);

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_QUEUE_VIEW_H_
