// Runs batches on a device, one after the other, and puts the next one together while the present one runs.
//
// Two threads: one takes batches from the queue and stages them, the other warms models up and runs what is staged. A
// batch is taken as late as can be, so that it is as full as can be and a cancellation can still empty it: when the device
// is free or, where staging takes a part of a pass that is worth hiding, just in time for the end of the present pass.
// Several executors may share a device; each has its own instances of the models.
//
// Models come and go while others are served. Between two passes of a warm-up the batch runs that is staged: so each batch
// waits for one pass of the newcomer at most, and the warm-up still times its own passes only.
//
// The host, which owns the queue, outlives the executor. No lock is held while a model runs.
#ifndef CULTURETAG_BATCHING_EXECUTOR_H_
#define CULTURETAG_BATCHING_EXECUTOR_H_

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/clock.h"
#include "batching/batch_runner.h"
#include "batching/fair_queue.h"
#include "batching/warmup.h"
#include "inference/tagging_model.h"
#include "observability/metrics.h"

namespace culturetag {

// Windows for one pass. One without windows asks for a probe of its model, which sees whether a sick device works again.
struct Batch {
  struct Entry {
    std::shared_ptr<FairQueue::Entry> owner;
    int64_t window = 0;          // index among the owner's windows
    std::vector<float> samples;
    absl::Time pushed;
  };
  BucketKey key;
  std::vector<Entry> entries;
  BatchCloseReason reason = BatchCloseReason::kIdle;
  bool hidden_states = false;  // whether one of the owners wants them
};

// How a pass went.
struct PassResult {
  std::vector<absl::StatusOr<WindowOutput>> outputs;  // of each entry of the batch
  absl::Time start;
  absl::Duration device_time;
  absl::Duration staging_time;
  int max_batch_windows = 0;  // the most that the device has memory for, if it is fewer than the batch had

  // What a failure took says nothing of what a pass costs.
  bool complete() const {
    return std::all_of(outputs.begin(), outputs.end(), [](const auto& output) { return output.ok(); });
  }
};

// Where an executor gets its work from, and brings it. `executor` is its index.
class ExecutorHost {
 public:
  virtual ~ExecutorHost() = default;

  virtual void WarmupEnded(int executor, int model, absl::StatusOr<WarmupReport> report) = 0;
  // Blocks until there is a batch to put together; nothing: the executor shall stop.
  virtual absl::optional<Batch> TakeBatch(int executor) = 0;
  // A pass over `batch` starts.
  virtual void PassStarts(int executor, const Batch& batch) = 0;
  // It has ended. Called in the order of TakeBatch; all of one executor's calls but TakeBatch come from one thread.
  virtual void PassEnded(int executor, Batch batch, PassResult result) = 0;
  virtual void HealthChanged(int executor, bool well) = 0;
};

class Executor {
 public:
  // With `max_batch_windows` 0 each model's best size is measured (warmup.h).
  Executor(int index, int max_batch_windows, ExecutorHost& host, Clock& clock, Metrics& metrics);

  // Joins. The host must have told it to stop.
  ~Executor();

  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Has the model in slot `slot` warmed up, and tells the host of the end. `model` is this executor's own.
  void Add(int slot, TaggingModel& model) ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets go of a model whose warm-up has ended and of which no batch is under way.
  void Remove(int slot) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the warm-up that is under way, and those to come.
  void StopWarmup() { stop_warmup_ = true; }

 private:
  struct Staged {
    Batch batch;
    absl::StatusOr<std::unique_ptr<StagedBatch>> windows;
    absl::Duration staging_time;
  };

  void RunStager() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunDevice() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunStaged() ABSL_LOCKS_EXCLUDED(mutex_);
  void WarmUpNext() ABSL_LOCKS_EXCLUDED(mutex_);
  TaggingModel& ModelOf(const Batch& batch) ABSL_LOCKS_EXCLUDED(mutex_);
  Staged Stage(Batch batch);
  void RunPass(Staged staged);
  void Probe(Batch batch);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !staged_.empty() || !cold_.empty(); }
  bool HasWorkOrStops() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || HasWork(); }

  const int index_;
  const int max_batch_windows_;
  ExecutorHost& host_;
  Clock& clock_;
  BatchRunner runner_;  // the device thread's
  std::atomic<bool> stop_warmup_{false};

  absl::Mutex mutex_;
  std::deque<std::pair<int, TaggingModel*>> cold_ ABSL_GUARDED_BY(mutex_);  // by slot: to be warmed up
  std::map<int, TaggingModel*> models_ ABSL_GUARDED_BY(mutex_);             // by slot: that may be run
  std::vector<Staged> staged_ ABSL_GUARDED_BY(mutex_);  // at most one: the host gives no second batch ahead
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread device_;  // last, so that they start when the rest is there
  std::thread stager_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_EXECUTOR_H_
