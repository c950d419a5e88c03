// How many lines of one kind the log takes: whoever makes the server write a line for each of a million bad requests would
// fill its disk otherwise.
//
// Thread-safe.
#ifndef CULTURETAG_BASE_LOG_LIMITER_H_
#define CULTURETAG_BASE_LOG_LIMITER_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/clock.h"

namespace culturetag {

class LogLimiter {
 public:
  // Lets `lines` >= 1 pass in each `period`, which begins with the first line after the one before has ended. `clock` must
  // outlive the limiter.
  LogLimiter(int lines, absl::Duration period, Clock& clock) : lines_(lines), period_(period), clock_(clock) {}

  // Nothing if a line mustn't be written now; else how many weren't since the last one that was.
  absl::optional<int64_t> Admit() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const int lines_;
  const absl::Duration period_;
  Clock& clock_;
  absl::Mutex mutex_;
  absl::Time period_end_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  int passed_ ABSL_GUARDED_BY(mutex_) = 0;  // in this period
  int64_t suppressed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace culturetag

#endif  // CULTURETAG_BASE_LOG_LIMITER_H_
