// One simulated request: what arrives, and what has become of it.
#ifndef CULTURETAG_SIMULATOR_REQUEST_H_
#define CULTURETAG_SIMULATOR_REQUEST_H_

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "batching/fair_queue.h"
#include "simulator/device_curve.h"

namespace culturetag::simulator {

// What a caller asks for, and when.
struct Arrival {
  absl::Time time = absl::UnixEpoch();  // the simulation starts at the epoch
  std::string client;
  Priority priority = Priority::kInteractive;
  absl::Duration audio;                                   // of the clip or track, > 0
  absl::Duration deadline = absl::InfiniteDuration();     // after `time`; the server knows it
  absl::Duration patience = absl::InfiniteDuration();     // after `time`, the caller cancels, of which nobody knew
};

// How a request ended.
enum class Outcome { kPending, kServed, kQueueFull, kDeadline, kExpired, kCancelled };
inline constexpr size_t kOutcomeCount = 6;

// Windows are cut as the server's windower does: of 5 s, the last one right-aligned; a shorter clip is one window.
inline int WindowCount(absl::Duration audio) {
  return audio <= kWindow ? 1 : static_cast<int>(absl::Ceil(audio, kWindow) / kWindow);
}
inline size_t WindowSamples(absl::Duration audio) {
  return audio >= kWindow ? kWindowSamples : static_cast<size_t>(absl::ToDoubleSeconds(audio) * kSampleRateHz + 0.5);
}

struct Request final : FairQueue::Entry, std::enable_shared_from_this<Request> {
  explicit Request(const Arrival& arrival)
      : Entry({0, WindowSamples(arrival.audio)}, arrival.client, arrival.priority, std::min(arrival.audio, kWindow),
              arrival.time + arrival.deadline),
        arrived(arrival.time),
        gives_up(arrival.time + arrival.patience),
        windows(WindowCount(arrival.audio)),
        untaken(windows),
        unscored(windows) {}

  absl::Duration work() const { return window_audio() * windows; }

  const absl::Time arrived;
  const absl::Time gives_up;
  const int windows;
  absl::Duration estimate;    // of its completion, when it was admitted
  int untaken;                // not on the device yet
  int unscored;               // waiting or on the device
  int scored_in_time = 0;     // windows scored while arrivals lasted; see Results
  Outcome outcome = Outcome::kPending;
};

// The windows of one pass, an element for each.
using Batch = std::vector<std::shared_ptr<Request>>;

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_REQUEST_H_
