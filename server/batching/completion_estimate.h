// When a new request would be done by the present state of the queue: what admission and the gauge of the estimated wait
// rest on.
//
// Pure functions; thread-safe.
#ifndef CULTURETAG_BATCHING_COMPLETION_ESTIMATE_H_
#define CULTURETAG_BATCHING_COMPLETION_ESTIMATE_H_

#include <string>

#include "absl/time/time.h"
#include "batching/queue_view.h"

namespace culturetag {

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

// How long it would take until the request's last window is scored: the rest of the batch that runs, what fairness serves
// before it, and its own passes. Uncorrected (estimate_correction.h).
absl::Duration EstimateCompletion(const NewRequest& request, const QueueView& view);

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_COMPLETION_ESTIMATE_H_
