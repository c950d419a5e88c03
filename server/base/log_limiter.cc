#include "base/log_limiter.h"

#include <utility>

namespace culturetag {

absl::optional<int64_t> LogLimiter::Admit() {
  const absl::Time now = clock_.Now();
  absl::MutexLock lock(&mutex_);
  if (now >= period_end_) {
    period_end_ = now + period_;
    passed_ = 0;
  }
  if (passed_ == lines_) {
    ++suppressed_;
    return absl::nullopt;
  }
  ++passed_;
  return std::exchange(suppressed_, 0);
}

}  // namespace culturetag
