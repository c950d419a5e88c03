// What the batcher knows of one request: its windows that wait, and who wants their scores.
//
// Internal to batching/. Guarded by the batcher's mutex; the samples of the windows that an executor has taken belong to it.
#ifndef CULTURETAG_BATCHING_SUBMISSION_H_
#define CULTURETAG_BATCHING_SUBMISSION_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "batching/fair_queue.h"
#include "batching/window_batcher.h"

namespace culturetag {

class WindowBatcher::Submission final : public FairQueue::Entry, public std::enable_shared_from_this<Submission> {
 public:
  Submission(ScoringRequest request, absl::Duration window_audio, Callback callback_in)
      : Entry({request.model, request.window_samples}, std::move(request.client), request.priority, window_audio, request.deadline),
        hidden_states(request.hidden_states),
        expected_windows(request.expected_windows.value_or(0)),
        callback(std::make_shared<Callback>(std::move(callback_in))) {}

  // Windows that are still to be scored: those that are there, and those that were announced.
  int64_t pending_windows() const {
    if (ended) return 0;
    return std::max(unscored, closed ? int64_t{0} : expected_windows - scored);
  }

  // When the oldest of its windows was pushed that is waiting or on the device.
  absl::Time oldest_window() const {
    return windows.empty() ? oldest_on_device : std::min(oldest_on_device, windows.front().pushed);
  }

  // It is done `time` after it was opened, or never (InfiniteDuration).
  void ObserveEnd(EstimateCorrection& correction, absl::Duration time) const {
    if (estimate.has_value()) correction.Observe(*estimate, time);
  }

  const bool hidden_states;
  const int64_t expected_windows;
  std::shared_ptr<Callback> callback;  // shared with the calls under way; nullptr once it has ended
  std::deque<WaitingWindow> windows;   // as many as Entry::waiting()
  int64_t taken = 0;
  int64_t scored = 0;
  int64_t unscored = 0;  // waiting or on the device
  bool closed = false;   // no window will follow
  bool ended = false;
  absl::Time opened;
  absl::optional<absl::Duration> estimate;  // of its completion, uncorrected, if its length was known
  WasteReason waste_reason = WasteReason::kCancelled;  // if it ended while the device ran a window of it
  int64_t accounted_windows = 0;                       // of pending_windows, in the batcher's account
  absl::Time oldest_on_device = absl::InfiniteFuture();  // when the oldest window was pushed that an executor has
  std::list<std::shared_ptr<Submission>>::iterator live;  // in the batcher's list, until it has ended
  std::multimap<absl::Time, Submission*>::iterator expiry;  // among the batcher's deadlines, likewise
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_SUBMISSION_H_
