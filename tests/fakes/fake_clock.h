// A clock that stands still until a test moves it, so that no test sleeps.
//
//   FakeClock clock;
//   WindowBatcher batcher(options, clock, ...);   // its thread waits in AwaitUntil
//   clock.WaitForSleepers(1);                     // until it really does
//   clock.Advance(absl::Milliseconds(5));         // wakes it if its deadline has come
//
// Thread-safe. The clock must outlive all that use it, and a mutex that a thread awaits must not be destroyed while Advance
// or WaitForSleepers runs: both lock it to look at the thread that waits.
#ifndef CULTURETAG_TESTS_FAKES_FAKE_CLOCK_H_
#define CULTURETAG_TESTS_FAKES_FAKE_CLOCK_H_

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace culturetag {

class FakeClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixNanos(now_ns_.load()); }

  // As Clock::AwaitUntil, but `deadline` only comes when Advance brings it.
  bool AwaitUntil(absl::Mutex& mutex, const absl::Condition& condition, absl::Time deadline) override {
    const auto sleeper = std::make_shared<Sleeper>(Sleeper{this, &mutex, &condition, deadline});
    if (!sleeper->MayWake()) {
      Register(sleeper);
      mutex.Await(absl::Condition(sleeper.get(), &Sleeper::MayWake));
      Unregister(sleeper);
    }
    return condition.Eval();
  }

  // Moves the time on and wakes every thread whose deadline it has reached. Call it without holding a mutex that a thread
  // awaits. The threads wake soon after; use WaitForSleepers to see them asleep again.
  void Advance(absl::Duration duration) {
    now_ns_ += absl::ToInt64Nanoseconds(duration);
    for (const std::shared_ptr<Sleeper>& sleeper : Sleepers()) {
      // Unlocking is what makes absl::Mutex evaluate the conditions of the threads that wait for it.
      absl::MutexLock lock(sleeper->mutex);
    }
  }

  // Blocks until at least `count` threads are asleep in AwaitUntil, each with neither its condition nor its deadline met.
  void WaitForSleepers(int count) {
    while (true) {
      {
        const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
          return sleepers_.size() >= static_cast<size_t>(count);
        };
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(&enough));
      }
      const std::vector<std::shared_ptr<Sleeper>> sleepers = Sleepers();
      if (std::count_if(sleepers.begin(), sleepers.end(), IsAsleep) >= count) return;
      std::this_thread::yield();  // A thread that may wake is about to.
    }
  }

 private:
  struct Sleeper {
    FakeClock* clock;
    absl::Mutex* mutex;
    const absl::Condition* condition;
    absl::Time deadline;
    bool woke = false;  // guarded by *mutex; `condition` may dangle once it is true

    bool MayWake() const { return condition->Eval() || clock->Now() >= deadline; }
  };

  static bool IsAsleep(const std::shared_ptr<Sleeper>& sleeper) {
    // The sleeper registers while it holds the mutex: who gets the mutex finds it asleep or gone.
    absl::MutexLock lock(sleeper->mutex);
    return !sleeper->woke && !sleeper->MayWake();
  }

  void Register(const std::shared_ptr<Sleeper>& sleeper) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    sleepers_.push_back(sleeper);
  }

  void Unregister(const std::shared_ptr<Sleeper>& sleeper) ABSL_LOCKS_EXCLUDED(mutex_) {
    sleeper->woke = true;
    absl::MutexLock lock(&mutex_);
    sleepers_.erase(std::find(sleepers_.begin(), sleepers_.end(), sleeper));
  }

  std::vector<std::shared_ptr<Sleeper>> Sleepers() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return sleepers_;
  }

  std::atomic<int64_t> now_ns_{0};
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<Sleeper>> sleepers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_FAKES_FAKE_CLOCK_H_
