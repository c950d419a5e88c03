// The account of the work that was admitted and isn't scored yet: what waits, what is to come and what the device runs.
//
// Thread-compatible.
#ifndef CULTURETAG_BATCHING_PENDING_WORK_H_
#define CULTURETAG_BATCHING_PENDING_WORK_H_

#include <array>
#include <cstdint>
#include <map>

#include "absl/time/time.h"
#include "batching/fair_queue.h"

namespace culturetag {

class PendingWork {
 public:
  // `windows` of `entry` come, or go if they are fewer than none.
  void Add(const FairQueue::Entry& entry, int64_t windows) {
    const absl::Duration audio = entry.window_audio() * windows;
    windows_ += windows;
    audio_of_class_[static_cast<size_t>(entry.priority())] += audio;
    audio_of_model_[entry.key().first] += audio;
  }

  int64_t windows() const { return windows_; }
  absl::Duration audio_of(Priority priority) const { return audio_of_class_[static_cast<size_t>(priority)]; }
  // By model; zero for one of which nothing is pending any more.
  const std::map<int, absl::Duration>& audio_of_model() const { return audio_of_model_; }

 private:
  int64_t windows_ = 0;
  std::array<absl::Duration, kPriorityCount> audio_of_class_;
  std::map<int, absl::Duration> audio_of_model_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_PENDING_WORK_H_
