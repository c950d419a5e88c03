// The queue between requests and the device: packs windows of many requests into batches and hands the scores back.
//
// What it promises (DESIGN.md 4c):
//   - A batch holds windows of one model and one exact length.
//   - Turns go by fairness between bulk and interactive work, between clients by weight, and between a client's requests,
//     window by window (fair_queue.h): a long track doesn't hold up the clips that come after it.
//   - A cancelled request's windows leave the queue at once, also while the device is busy, and a window whose deadline has
//     passed is never sent to the device.
//   - What is queued is bounded by its duration, max_queued_audio. What can't be taken, or can't meet its deadline by the
//     present estimate, is refused at once, with the time after which a retry makes sense (admission.h).
//   - Every accepted submission gets its callback exactly once: scores, or an error.
//   - An error of the device fails a window only after one retry in a smaller pass (batch_runner.h).
//
// Thread-safe. One executor thread runs all models of one device: it warms them up, then serves until destruction. No
// lock is held while a model or a callback runs. The models, the clock and the metrics must outlive the batcher.
#ifndef CULTURETAG_BATCHING_WINDOW_BATCHER_H_
#define CULTURETAG_BATCHING_WINDOW_BATCHER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/clock.h"
#include "batching/batch_policy.h"
#include "batching/batch_runner.h"
#include "batching/completion_estimate.h"
#include "batching/cost_model.h"
#include "batching/fair_queue.h"
#include "batching/warmup.h"
#include "inference/tagging_model.h"
#include "observability/metrics.h"

namespace culturetag {

// The windows of one request, all of the same length.
struct ScoringWork {
  int model = 0;                            // index into the models of the batcher
  std::vector<std::vector<float>> windows;  // at least one
  std::string client;                       // who shares the device with others by weight
  Priority priority = Priority::kInteractive;
  absl::Time deadline = absl::InfiniteFuture();  // on the batcher's clock
};

struct ScoringResult {
  std::vector<WindowOutput> outputs;  // one for each window, in their order
  absl::Duration queue;               // from submission until the device took the first window
  absl::Duration inference;           // from then until the last window was scored
};

class WindowBatcher {
 public:
  struct Options {
    // The most windows in a batch; 0: measured at start (see warmup.h).
    int max_batch_windows = 0;
    // See BatchPolicyOptions.
    absl::Duration max_queue_delay = absl::ZeroDuration();
    // The most audio that may wait, in seconds of windows.
    absl::Duration max_queued_audio = absl::Minutes(60);
    // Who gets how much of the device.
    FairQueue::Options fairness;
    // Called, on the executor thread, with false when the device fails again and again and with true when it works again.
    // While it is sick and nobody asks for anything, a probe is run every kProbeInterval.
    std::function<void(bool)> on_device_health = [](bool) {};
  };
  static constexpr absl::Duration kProbeInterval = absl::Seconds(5);

  using Callback = absl::AnyInvocable<void(absl::StatusOr<ScoringResult>) &&>;

  // One accepted piece of work; opaque to callers, who only pass it to Cancel.
  class Submission;

  // `models` share one device.
  WindowBatcher(const Options& options, std::vector<TaggingModel*> models, Clock& clock, Metrics& metrics);

  // Cancels what waits with UNAVAILABLE, lets a running batch end and joins. Call Drain first to lose nothing.
  ~WindowBatcher();

  WindowBatcher(const WindowBatcher&) = delete;
  WindowBatcher& operator=(const WindowBatcher&) = delete;

  // Blocks until every model is warm, and returns how each went, in the order of the models; or the error of the model that
  // failed; or CANCELLED after StopWarmup. Work submitted before then waits.
  absl::StatusOr<std::vector<WarmupReport>> WaitUntilWarm() ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends a warm-up that is under way, for a server that is stopped while it starts.
  void StopWarmup() { stop_warmup_ = true; }

  // Queues `work`. Never blocks. `callback` is called exactly once, on the executor thread or on the one that cancels,
  // unless an error is returned: RESOURCE_EXHAUSTED with a retry delay if the queue is full or, by the present estimate, the
  // deadline can't be met; UNAVAILABLE while draining. Such an error comes with `*reject` set.
  absl::StatusOr<std::shared_ptr<Submission>> Submit(ScoringWork work, Callback callback, RejectReason* reject)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes the submission's waiting windows out of the queue, and calls its callback with `status` before it returns. A
  // window that the device is running goes on, and counts as wasted for `reason`. No effect on a submission that has ended.
  void Cancel(const std::shared_ptr<Submission>& submission, WasteReason reason, absl::Status status)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Refuses new work, and blocks until all accepted work has ended or `deadline` has passed; what is left then ends with
  // UNAVAILABLE. Returns whether nothing was left.
  bool Drain(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // What waits at present.
  QueueSnapshot Snapshot() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using SubmissionList = std::list<std::shared_ptr<Submission>>;

  struct BatchEntry {
    std::shared_ptr<Submission> submission;
    size_t window = 0;
  };
  struct Batch {
    BucketKey key;
    std::vector<BatchEntry> entries;
    BatchCloseReason reason = BatchCloseReason::kIdle;
  };
  struct Finished {
    std::shared_ptr<Submission> submission;
    absl::StatusOr<ScoringResult> result;
  };

  // The executor thread.
  void RunExecutor();
  absl::StatusOr<std::vector<WarmupReport>> WarmUpModels();
  bool NextBatch(Batch& batch) ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until a batch is ripe, until it is time to probe a sick device, or until the batcher stops.
  void AwaitWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeBatch(Batch& batch, std::vector<Finished>& expired) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunBatch(const Batch& batch) ABSL_LOCKS_EXCLUDED(mutex_);
  void Probe() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<Finished> Deliver(const Batch& batch, std::vector<absl::StatusOr<WindowOutput>> outputs,
                                absl::Duration device_time) ABSL_LOCKS_EXCLUDED(mutex_);

  // The queue.
  absl::Status CheckAdmission(const ScoringWork& work, absl::Duration window_audio, RejectReason* reject) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What waits, by bucket, and what to do about it.
  std::vector<std::pair<BucketKey, BucketState>> Buckets() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::optional<std::pair<BucketKey, BatchDecision>> Decide() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool HasWorkOrStops() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); }
  // Also true when nothing is left to wait for, so that the executor starts afresh.
  bool IsRipeOrStops() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || queue_.empty() || Decide(); }
  void TakeOutput(Submission& submission, size_t window, WindowOutput output) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ScoringResult ResultOf(Submission& submission) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes what waits of `submission` out of the queue and out of the account of pending work, and returns what its callback
  // is to be called with once the lock is released.
  Finished End(const std::shared_ptr<Submission>& submission, absl::StatusOr<ScoringResult> result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void CallBack(std::vector<Finished> finished);
  bool NothingPending() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return live_.empty(); }
  bool WarmupEnded() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return warmup_.has_value(); }

  const Options options_;
  const std::vector<TaggingModel*> models_;
  Clock& clock_;
  Metrics& metrics_;

  mutable absl::Mutex mutex_;
  FairQueue queue_ ABSL_GUARDED_BY(mutex_);
  SubmissionList live_ ABSL_GUARDED_BY(mutex_);  // accepted and not ended, oldest first
  int pending_windows_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration pending_audio_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Duration> pending_audio_of_model_ ABSL_GUARDED_BY(mutex_);
  absl::Time device_free_ ABSL_GUARDED_BY(mutex_);  // when the running batch is expected to end
  CostModel cost_ ABSL_GUARDED_BY(mutex_);
  std::vector<FullBatch> full_batches_ ABSL_GUARDED_BY(mutex_);  // of each model
  absl::optional<absl::StatusOr<std::vector<WarmupReport>>> warmup_ ABSL_GUARDED_BY(mutex_);  // set once it has ended
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::atomic<bool> stop_warmup_{false};
  BatchRunner runner_;  // the executor's

  std::thread executor_;  // last, so that it starts when the rest is there
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_WINDOW_BATCHER_H_
