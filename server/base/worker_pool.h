// A fixed number of threads behind a bounded queue.
//
// Thread-safe. The pool outlives the work that it runs: the destructor refuses new work, runs what was accepted and joins.
#ifndef CULTURETAG_BASE_WORKER_POOL_H_
#define CULTURETAG_BASE_WORKER_POOL_H_

#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace culturetag {

class WorkerPool {
 public:
  using Work = absl::AnyInvocable<void() &&>;

  // `thread_count` >= 1 threads; at most `max_queued` pieces of work wait for one.
  WorkerPool(int thread_count, int max_queued);
  ~WorkerPool();

  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Queues `work` and returns true, or returns false at once if the queue is full or the pool is stopping; `work` is
  // then untouched. Never blocks.
  bool TrySchedule(Work&& work) ABSL_LOCKS_EXCLUDED(mutex_);

  // Queues the next part of work that was accepted before, whatever waits. Never blocks. Not to be called once the
  // destructor has begun.
  void Continue(Work work) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void RunWorker() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWorkOrStops() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); }

  const size_t max_queued_;
  absl::Mutex mutex_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BASE_WORKER_POOL_H_
