// Whether a request may join the queue: decided at once, by the audio that waits and by the predicted finish time.
//
// Pure functions; thread-safe.
#ifndef CULTURETAG_BATCHING_ADMISSION_H_
#define CULTURETAG_BATCHING_ADMISSION_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "batching/completion_estimate.h"
#include "observability/metric_labels.h"

namespace culturetag {

// What the decision is made of.
struct AdmissionCase {
  absl::Duration pending_audio;     // admitted and not scored yet
  absl::Duration max_queued_audio;  // the most that may wait
  absl::Duration audio;             // of the request, in windows
  absl::Duration excess_time;       // the device's time for what exceeds max_queued_audio
  absl::Duration estimate;          // EstimateCompletion
  absl::Duration completion;        // the estimate as EstimateCorrection corrects it
  absl::Duration time_left;         // until its deadline
};

// The case of `request`, whose deadline is `time_left` away, if `max_queued_audio` of its class may wait.
AdmissionCase MakeAdmissionCase(const NewRequest& request, absl::Duration time_left, absl::Duration max_queued_audio,
                                const QueueView& view);

// OK, or RESOURCE_EXHAUSTED with the delay after which a retry makes sense (base/error_details.h) and `*reject` set. An empty
// queue takes anything: a request that is longer than the queue would otherwise be refused for ever.
absl::Status Admit(const AdmissionCase& request, RejectReason* reject);

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_ADMISSION_H_
