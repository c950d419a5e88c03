// What one executor's device is at, and when it is its turn to take a batch.
//
// Thread-compatible; the batcher's mutex guards it.
#ifndef CULTURETAG_BATCHING_DEVICE_STATE_H_
#define CULTURETAG_BATCHING_DEVICE_STATE_H_

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace culturetag {

struct DeviceState {
  int batches = 0;                              // taken and not ended: one that runs, and one that is staged
  absl::Time free_at = absl::InfiniteFuture();  // when the running pass is expected to end
  absl::Duration staging;                       // a moving average of what it takes, for each window
  absl::Duration lead;  // how long before free_at to take the next batch; zero: not before the device is free
  bool sick = false;
  absl::Time probe_at;  // while it is sick
  uint64_t changes = 0;  // of any of these

  // From when on it may take a batch.
  absl::Time Turn() const {
    if (batches == 0) return absl::InfinitePast();
    return batches == 1 && lead > absl::ZeroDuration() ? free_at - lead : absl::InfiniteFuture();
  }

  // How long until it is free; zero where that isn't known.
  absl::Duration Busy(absl::Time now) const {
    const bool known = batches > 0 && free_at != absl::InfiniteFuture();
    return known ? std::max(absl::ZeroDuration(), free_at - now) : absl::ZeroDuration();
  }

  // Staging took `window_time` for each window of a batch; a full batch has `full_windows` and a pass over it takes `pass`.
  void LearnStaging(absl::Duration window_time, int full_windows, absl::Duration pass) {
    constexpr double kNewest = 0.1;  // the weight of the newest batch
    // Less than this part of a pass isn't worth binding a batch before the device is free.
    constexpr double kWorthHiding = 0.002;
    // The next batch is taken so many times the expected staging time before the pass ends, since both are estimates.
    constexpr double kLead = 2;
    staging = staging == absl::ZeroDuration() ? window_time : staging * (1 - kNewest) + window_time * kNewest;
    const absl::Duration next = staging * full_windows;
    lead = next > pass * kWorthHiding ? next * kLead : absl::ZeroDuration();
  }
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_DEVICE_STATE_H_
