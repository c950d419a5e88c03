#include "base/clock.h"

#include <chrono>

namespace culturetag {
namespace {

class MonotonicClock final : public Clock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }

  bool AwaitUntil(absl::Mutex& mutex, const absl::Condition& condition, absl::Time deadline) override {
    // A relative timeout: Mutex takes absolute times on the system's clock, which may step.
    return mutex.AwaitWithTimeout(condition, deadline - Now());
  }
};

}  // namespace

Clock& Clock::Real() {
  static Clock* const clock = new MonotonicClock;
  return *clock;
}

}  // namespace culturetag
