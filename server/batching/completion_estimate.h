// When a new request would be done by the present state of the queue: what admission and the gauge of the estimated wait
// rest on.
//
// Pure functions; thread-safe.
#ifndef CULTURETAG_BATCHING_COMPLETION_ESTIMATE_H_
#define CULTURETAG_BATCHING_COMPLETION_ESTIMATE_H_

#include <string>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "batching/cost_model.h"
#include "batching/fair_queue.h"

namespace culturetag {

// The passes in which the device works off a model's windows when many wait.
struct FullBatch {
  BucketKey key;                // the model, and the length of its full window
  absl::Duration window_audio;  // of such a window
  int windows = 1;              // the most in a batch, at least 1
};

// The device's time for `audio` of the model of `batch`, in such batches.
absl::Duration DeviceTime(const CostModel& cost, const FullBatch& batch, absl::Duration audio);

// How much audio of the model of `batch` `executors` score in `time`, in such batches; 0 if nothing is known of the model.
absl::Duration AudioWithin(const CostModel& cost, const FullBatch& batch, int executors, absl::Duration time);

// A request that isn't in the queue yet.
struct NewRequest {
  BucketKey key;
  std::string client;
  Priority priority = Priority::kInteractive;
  int windows = 1;              // at least 1
  absl::Duration window_audio;  // of each of its windows
};

// How long it would take until the request's last window is scored: `device_busy`, the rest of the batch that runs, what
// fairness serves before it, and its own passes, by `executors` that work side by side. `batches` holds one for each model, in their order.
absl::Duration EstimateCompletion(const NewRequest& request, absl::Duration device_busy, int executors,
                                  const FairQueue& queue, const CostModel& cost, absl::Span<const FullBatch> batches);

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_COMPLETION_ESTIMATE_H_
