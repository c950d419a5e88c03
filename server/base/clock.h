// Time as an argument, so that whatever waits can be tested without waiting.
//
// Thread-safe. An instance must outlive everything that was given it.
#ifndef CULTURETAG_BASE_CLOCK_H_
#define CULTURETAG_BASE_CLOCK_H_

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace culturetag {

class Clock {
 public:
  virtual ~Clock() = default;

  // The present on a monotonic scale: a step of the system's clock doesn't move it. It has no meaning as a date; only
  // differences count.
  virtual absl::Time Now() const = 0;

  // Blocks until `condition` holds or `deadline` has passed, and returns whether it holds. The caller holds `mutex`, which
  // is released while waiting and held again on return, exactly as in absl::Mutex::AwaitWithTimeout.
  virtual bool AwaitUntil(absl::Mutex& mutex, const absl::Condition& condition, absl::Time deadline) = 0;

  // The clock of the machine. Never destroyed.
  static Clock& Real();
};

}  // namespace culturetag

#endif  // CULTURETAG_BASE_CLOCK_H_
