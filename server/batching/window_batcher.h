// The queue between requests and the device: packs windows of many requests into batches and hands the scores back.
//
// What it promises (DESIGN.md 4c):
//   - A batch holds windows of one model and one exact length.
//   - Turns go by fairness between bulk and interactive work, between clients by weight, and between a client's requests,
//     window by window (fair_queue.h): a long track doesn't hold up the clips that come after it.
//   - The windows of a request that is cancelled, or whose deadline passes, leave the queue at once, also while the device is
//     busy, and are never sent to it.
//   - What is queued is bounded by its duration, max_queued_audio. What can't be taken, or can't meet its deadline by the
//     present estimate, is refused at once, with the time after which a retry makes sense (admission.h).
//   - Every window of an accepted request is scored once and called back for, unless the request ends with an error.
//   - An error of the device fails a window only after one retry in a smaller pass (batch_runner.h).
//
// A request's windows may all be there at once or come one by one, as they are decoded or uploaded.
//
// Thread-safe. One executor or more (executor.h) run all models of one device. No lock is held while a model or a callback
// runs. The clock and the metrics must outlive the batcher; a model, too, unless RemoveModel has let go of it.
#ifndef CULTURETAG_BATCHING_WINDOW_BATCHER_H_
#define CULTURETAG_BATCHING_WINDOW_BATCHER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
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
#include "base/worker_pool.h"
#include "batching/admission.h"
#include "batching/batch_policy.h"
#include "batching/device_state.h"
#include "batching/executor.h"
#include "batching/fair_queue.h"
#include "batching/model_table.h"
#include "batching/queue_view.h"
#include "inference/tagging_model.h"
#include "observability/metrics.h"

namespace culturetag {

// A request whose windows are to be scored.
struct ScoringRequest {
  int model = 0;              // its slot in the batcher
  size_t window_samples = 0;  // the length of each of its windows
  std::string client;         // who shares the device with others by weight
  Priority priority = Priority::kInteractive;
  absl::Time deadline = absl::InfiniteFuture();  // on the batcher's clock
  // How many windows will come, at least 1, as far as it is known; admission rests on it. Absent: a stream of unknown length,
  // which is never refused, since its sender can be held up instead.
  absl::optional<int64_t> expected_windows;
  bool length_known = true;    // whether that is what will come, and no guess
  bool hidden_states = false;  // whether they are wanted, besides the scores
};

struct ScoredWindow {
  int64_t index = 0;  // in the order of Push
  WindowOutput output;
  absl::Duration queue;  // from Push until a pass took it
  absl::Time taken;      // when that was
};

class WindowBatcher final : private ExecutorHost {
 public:
  struct Options {
    // The most windows in a batch; 0: measured at start (see warmup.h).
    int max_batch_windows = 0;
    // See BatchPolicyOptions.
    absl::Duration max_queue_delay = absl::ZeroDuration();
    // The most audio of one class that may wait, in seconds of windows: so bulk work doesn't keep interactive requests out. 0:
    // what the device scores in kQueueTime, by the warm-up's measurement, but at least kLeastQueuedAudio.
    absl::Duration max_queued_audio = absl::ZeroDuration();
    // Who gets how much of the device.
    FairQueue::Options fairness;
    // Called, on an executor's thread, with false when all executors fail again and again, and with true when one works
    // again. A sick one gets no work while another is well; then, and while nobody asks for anything, it runs a probe every
    // kProbeInterval.
    std::function<void(bool)> on_device_health = [](bool) {};
  };
  static constexpr absl::Duration kProbeInterval = absl::Seconds(5);
  static constexpr absl::Duration kQueueTime = absl::Minutes(1);
  static constexpr absl::Duration kLeastQueuedAudio = absl::Minutes(60);

  // Called once for each window, and once more with an error if the request ends early: a failure of the device, a passed
  // deadline, a cancellation, the end of a drain. Never called after Cancel has returned for the first time, but for calls
  // that were under way. The calls come from several threads and, around an error, at the same time; so a window may come
  // before one with a smaller index, and after an error.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ScoredWindow>)>;

  // One accepted request.
  class Submission;

  // `executors` holds for each executor its own instances of the models that are there from the start, at least one, in the
  // same order: that of their slots.
  WindowBatcher(const Options& options, std::vector<std::vector<TaggingModel*>> executors, Clock& clock, Metrics& metrics);

  // Cancels what waits with UNAVAILABLE, lets running batches end and joins. Call Drain first to lose nothing.
  ~WindowBatcher() override;

  WindowBatcher(const WindowBatcher&) = delete;
  WindowBatcher& operator=(const WindowBatcher&) = delete;

  // Blocks until every model is warm that is there from the start, and returns how each went, in the order of the models; or
  // the error of the model that failed; or CANCELLED after StopWarmup. Windows pushed before then wait.
  absl::StatusOr<std::vector<WarmupReport>> WaitUntilWarm() ABSL_LOCKS_EXCLUDED(mutex_);

  // A model that has come while others are served.
  struct AddedModel {
    int slot = 0;
    WarmupReport warmup;
  };
  // Warms a model up, of which `instances` holds one for each executor, and blocks until it may be asked for. In between, the
  // executors go on serving the others. Errors are those of WaitUntilWarm; the batcher has then let go of the instances.
  absl::StatusOr<AddedModel> AddModel(const std::vector<TaggingModel*>& instances) ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets go of a model whose requests have all ended, and of which none will follow; another one must be left. Blocks while
  // the device runs windows of it that nobody waits for any more.
  void RemoveModel(int slot) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the warm-up that is under way, and those to come, for a server that is stopped.
  void StopWarmup();

  // Accepts `request`, whose windows follow by Push; end them with Close. Never blocks. RESOURCE_EXHAUSTED with a retry delay
  // if the queue is full or, by the present estimate, the deadline can't be met; UNAVAILABLE while draining. Such an error
  // comes with `*reject` set, and without any call of `callback`.
  absl::StatusOr<std::shared_ptr<Submission>> Open(ScoringRequest request, Callback callback, RejectReason* reject)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The error that Open would return now, if any, for whoever can spare work that would be in vain. Promises nothing.
  absl::Status WouldAdmit(const ScoringRequest& request, RejectReason* reject) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Queues the next windows, at least one, of the length that was announced. Never blocks: the caller bounds how many wait.
  // No effect on a request that has ended.
  void Push(const std::shared_ptr<Submission>& submission, std::vector<std::vector<float>> windows)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Says that no window follows: the request ends with the call for its last one.
  void Close(const std::shared_ptr<Submission>& submission) ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes the request's waiting windows out of the queue, and calls its callback with `status` before it returns. A window
  // that the device is running goes on, and counts as wasted for `reason`. No effect on a request that has ended.
  void Cancel(const std::shared_ptr<Submission>& submission, WasteReason reason, absl::Status status)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // From now on nothing is waited for to make batches fuller.
  void HurryUp() ABSL_LOCKS_EXCLUDED(mutex_);

  // Refuses new requests, and blocks until all accepted ones have ended or `deadline` has passed; what is left then ends with
  // UNAVAILABLE. Returns whether nothing was left. The last callbacks may still be under way; the destructor waits for them.
  bool Drain(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // The most windows of `model` in a batch.
  int max_batch_windows(int model) const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return models_.full_batch(model).windows;
  }

  // What waits at present.
  QueueSnapshot Snapshot() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // What a device does next: a batch of that bucket or, without one, a probe.
  struct Turn {
    absl::optional<std::pair<BucketKey, BatchDecision>> batch;
  };
  struct WaitingWindow {
    std::vector<float> samples;
    absl::Time pushed;
  };
  // A call of a callback, to be made without the lock; and windows to be freed without it, which takes its time.
  struct Delivery {
    std::shared_ptr<Callback> callback;
    absl::StatusOr<ScoredWindow> result;
    std::deque<WaitingWindow> dropped = {};
  };
  static void CallBack(std::vector<Delivery>& deliveries);

  // ExecutorHost.
  void WarmupEnded(int executor, int model, absl::StatusOr<WarmupReport> report) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::optional<Batch> TakeBatch(int executor) override ABSL_LOCKS_EXCLUDED(mutex_);
  void PassStarts(int executor, const Batch& batch) override ABSL_LOCKS_EXCLUDED(mutex_);
  void PassEnded(int executor, Batch batch, PassResult result) override ABSL_LOCKS_EXCLUDED(mutex_);
  void HealthChanged(int executor, bool well) override ABSL_LOCKS_EXCLUDED(mutex_, health_mutex_);

  // What the executors do next.
  // Blocks until `device` may take a batch that is ripe, or should run a probe; nothing: the batcher stops.
  absl::optional<Turn> AwaitTurn(DeviceState& device) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AwaitChange(const uint64_t& counter, absl::Time until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AnyWell() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // A sick device gets no work while another is well.
  bool OnlyProbes(const DeviceState& device) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return device.sick && AnyWell(); }
  // A batch without entries, which asks for a probe of a model.
  Batch Probe() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The batch that was decided on; without entries if all of them have expired.
  Batch FormBatch(const BucketKey& key, const BatchDecision& decision, std::vector<Delivery>& expired)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LearnFrom(DeviceState& device, const Batch& batch, const PassResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Requests.
  QueueView View() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Sets `estimate` to the uncorrected estimate, if the request's length is known.
  absl::Status CheckAdmission(const ScoringRequest& request, absl::Duration window_audio,
                              absl::optional<absl::Duration>& estimate, RejectReason* reject) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Brings the account of what is pending up to date with `submission`.
  void Account(Submission& submission) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Delivery Score(Submission& submission, Batch::Entry& entry, WindowOutput output, absl::Time taken)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes what waits of `submission` out of the queue and out of the account.
  void Leave(Submission& submission) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Leaves with an error, and returns the call that says so.
  Delivery End(Submission& submission, absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Delivery Expire(Submission& submission) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends each request as soon as its deadline passes.
  void RunExpiry() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndIfDone(Submission& submission) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NothingPending() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return live_.empty(); }

  const Options options_;
  Clock& clock_;
  Metrics& metrics_;

  absl::Mutex health_mutex_;  // keeps the calls of on_device_health in order

  mutable absl::Mutex mutex_;
  FairQueue queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t queue_changes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<std::shared_ptr<Submission>> live_ ABSL_GUARDED_BY(mutex_);  // accepted and not ended, oldest first
  std::multimap<absl::Time, Submission*> deadlines_ ABSL_GUARDED_BY(mutex_);  // of the live ones
  uint64_t earlier_deadlines_ ABSL_GUARDED_BY(mutex_) = 0;  // that came before all others
  PendingWork pending_ ABSL_GUARDED_BY(mutex_);
  CostModel cost_ ABSL_GUARDED_BY(mutex_);
  EstimateCorrection correction_ ABSL_GUARDED_BY(mutex_);
  ModelTable models_ ABSL_GUARDED_BY(mutex_);
  std::vector<DeviceState> devices_ ABSL_GUARDED_BY(mutex_);  // of each executor
  bool warm_ ABSL_GUARDED_BY(mutex_) = false;                 // all models that are there from the start
  bool hurrying_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  WorkerPool completions_;  // calls back, so that no device idles while responses are built
  std::vector<std::unique_ptr<Executor>> executors_;  // last, with the thread, so that they start when the rest is there
  std::thread expiry_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_WINDOW_BATCHER_H_
