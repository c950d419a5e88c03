// Ctrl-C as an event that a command may wait for, so that it can end in order.
//
// Thread-safe.
#ifndef CULTURETAG_CLIENT_INTERRUPTS_H_
#define CULTURETAG_CLIENT_INTERRUPTS_H_

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace culturetag::client {

class Interrupts {
 public:
  // Tells the command that listens. Returns false where none does or it has been told before: the program should then
  // end at once.
  bool Raise() {
    absl::MutexLock lock(&mutex_);
    if (raised_ || !listener_) return false;
    raised_ = true;
    listener_();
    return true;
  }

  bool raised() const {
    absl::MutexLock lock(&mutex_);
    return raised_;
  }

  // While it lives, the first Raise calls `listener`, on the thread that raises; it must not block. One at a time.
  class Listener {
   public:
    Listener(Interrupts& interrupts, std::function<void()> listener) : interrupts_(interrupts) {
      interrupts_.Set(std::move(listener));
    }
    ~Listener() { interrupts_.Set({}); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    Interrupts& interrupts_;
  };

 private:
  void Set(std::function<void()> listener) {
    absl::MutexLock lock(&mutex_);
    listener_ = std::move(listener);
  }

  mutable absl::Mutex mutex_;
  std::function<void()> listener_ ABSL_GUARDED_BY(mutex_);
  bool raised_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_INTERRUPTS_H_
