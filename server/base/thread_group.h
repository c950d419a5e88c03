// Threads that come and go, no more than a fixed number at a time.
//
// Thread-safe. The destructor joins: what runs must have been told to end.
#ifndef CULTURETAG_BASE_THREAD_GROUP_H_
#define CULTURETAG_BASE_THREAD_GROUP_H_

#include <list>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace culturetag {

class ThreadGroup {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  explicit ThreadGroup(int max_threads) : max_threads_(static_cast<size_t>(max_threads)) {}
  ~ThreadGroup();

  ThreadGroup(const ThreadGroup&) = delete;
  ThreadGroup& operator=(const ThreadGroup&) = delete;

  // Runs `work` on a thread of its own and returns true, or returns false if there are as many as there may be, or the
  // system has no thread to give. Doesn't block, but for the moment that a thread takes to exit whose work has ended.
  bool TryStart(Work work) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Member {
    std::thread thread;
    bool ended = false;  // its work
  };

  // Takes out the members whose work has ended.
  std::list<Member> Ended() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_threads_;
  absl::Mutex mutex_;
  std::list<Member> members_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace culturetag

#endif  // CULTURETAG_BASE_THREAD_GROUP_H_
