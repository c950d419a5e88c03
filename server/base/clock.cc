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
    // Mutex makes a time on the system's clock even of a relative timeout. When that clock is set forward, it returns too
    // early, which is mended here; when it is set back, what waits for nothing but the timeout waits longer by the step.
    for (absl::Duration left = deadline - Now(); left > absl::ZeroDuration(); left = deadline - Now()) {
      if (mutex.AwaitWithTimeout(condition, left)) return true;
    }
    return condition.Eval();
  }
};

}  // namespace

Clock& Clock::Real() {
  static Clock* const clock = new MonotonicClock;
  return *clock;
}

}  // namespace culturetag
