#include "batching/admission.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "base/error_details.h"

namespace culturetag {
namespace {

// A refused client that comes back sooner only adds to the load.
constexpr absl::Duration kMinRetryDelay = absl::Milliseconds(100);

}  // namespace

AdmissionCase MakeAdmissionCase(const NewRequest& request, absl::Duration time_left, absl::Duration max_queued_audio,
                                const QueueView& view) {
  AdmissionCase made;
  made.pending_audio = view.pending.audio_of(request.priority);
  made.max_queued_audio = max_queued_audio;
  made.audio = request.window_audio * request.windows;
  const FullBatch& full = view.full_batches[static_cast<size_t>(request.key.first)];
  made.excess_time = DeviceTime(view.cost, full, made.pending_audio + made.audio - max_queued_audio) / view.executors;
  made.estimate = EstimateCompletion(request, view);
  // Nobody has to take turns with the first one.
  made.completion = view.pending.windows() == 0 ? made.estimate : view.correction.Corrected(made.estimate);
  made.time_left = time_left;
  return made;
}

absl::Status Admit(const AdmissionCase& request, RejectReason* reject) {
  if (request.pending_audio + request.audio > request.max_queued_audio && request.pending_audio > absl::ZeroDuration()) {
    *reject = RejectReason::kQueueFull;
    return RetryLater(absl::StrFormat("the queue is full: %.0f s of audio wait, at most %.0f s may",
                                      absl::ToDoubleSeconds(request.pending_audio),
                                      absl::ToDoubleSeconds(request.max_queued_audio)),
                      std::max(kMinRetryDelay, request.excess_time));
  }
  if (request.completion > request.time_left) {
    *reject = RejectReason::kDeadline;
    return RetryLater(absl::StrFormat("the deadline can't be met: scoring would end in about %.2f s, the deadline is in %.2f s",
                                      absl::ToDoubleSeconds(request.completion), absl::ToDoubleSeconds(request.time_left)),
                      std::max(kMinRetryDelay, request.completion - request.time_left));
  }
  return absl::OkStatus();
}

}  // namespace culturetag
