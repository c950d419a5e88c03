#include "batching/window_batcher.h"

#include <algorithm>
#include <exception>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_details.h"
#include "base/logging.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// While both wait, bulk gets every kBulkTurn-th window.
constexpr int kBulkTurn = 8;

// A refused client that comes back sooner only adds to the load.
constexpr absl::Duration kMinRetryDelay = absl::Milliseconds(100);

// Runs `model` and turns what it throws into a status: a lost device must not take the server with it.
absl::StatusOr<std::vector<WindowOutput>> RunGuarded(TaggingModel& model, absl::Span<const absl::Span<const float>> windows) {
  try {
    absl::StatusOr<std::vector<WindowOutput>> outputs = model.Run(windows);
    if (outputs.ok() && outputs->size() != windows.size()) {
      return absl::InternalError(absl::StrCat("the model gave ", outputs->size(), " outputs for ", windows.size(), " windows"));
    }
    return outputs;
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the model failed: ", error.what()));
  }
}

}  // namespace

// Guarded by the batcher's mutex, but for the windows' samples, which the executor reads while the device runs them.
class WindowBatcher::Submission {
 public:
  Submission(ScoringWork work_in, Callback callback_in, absl::Time now, absl::Duration audio)
      : work(std::move(work_in)),
        callback(std::move(callback_in)),
        key(work.model, work.windows.front().size()),
        submitted(now),
        window_audio(audio),
        unscored(work.windows.size()),
        outputs(work.windows.size()) {}

  bool waits() const { return next < work.windows.size(); }
  size_t waiting() const { return work.windows.size() - next; }

  ScoringWork work;
  Callback callback;
  const BucketKey key;
  const absl::Time submitted;
  const absl::Duration window_audio;  // of each window
  absl::optional<absl::Time> first_taken;
  size_t next = 0;   // the first window that the device hasn't taken
  size_t unscored;   // waiting or on the device
  std::vector<WindowOutput> outputs;
  bool ended = false;
  WasteReason waste_reason = WasteReason::kCancelled;  // if it ended while the device ran a window of it
  SubmissionList::iterator turn;  // in its bucket, while it waits
  SubmissionList::iterator live;  // in live_, until it has ended
};

WindowBatcher::WindowBatcher(const Options& options, std::vector<TaggingModel*> models, Clock& clock, Metrics& metrics)
    : options_(options),
      models_(std::move(models)),
      clock_(clock),
      metrics_(metrics),
      cost_(models_.size()),
      max_batch_windows_(models_.size(), 1),
      executor_([this] { RunExecutor(); }) {}

WindowBatcher::~WindowBatcher() {
  StopWarmup();
  Drain(clock_.Now());
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  executor_.join();
}

absl::StatusOr<std::vector<WarmupReport>> WindowBatcher::WaitUntilWarm() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &WindowBatcher::WarmupEnded));
  return *warmup_;
}

absl::StatusOr<std::shared_ptr<WindowBatcher::Submission>> WindowBatcher::Submit(ScoringWork work, Callback callback,
                                                                                 RejectReason* reject) {
  const absl::Duration window_audio =
      absl::Seconds(1) * static_cast<int64_t>(work.windows.front().size()) /
      models_[static_cast<size_t>(work.model)]->spec().sample_rate_hz;
  absl::MutexLock lock(&mutex_);
  CULTURETAG_RETURN_IF_ERROR(Admit(work, window_audio, reject));
  auto submission = std::make_shared<Submission>(std::move(work), std::move(callback), clock_.Now(), window_audio);
  submission->live = live_.insert(live_.end(), submission);
  Bucket& bucket = buckets_[submission->key];
  if (bucket.waiting_windows == 0) bucket.waiting_since = submission->submitted;
  SubmissionList& turns = bucket.turns[static_cast<size_t>(submission->work.priority)];
  submission->turn = turns.insert(turns.end(), submission);
  bucket.waiting_windows += static_cast<int>(submission->unscored);
  pending_windows_ += static_cast<int>(submission->unscored);
  pending_audio_ += window_audio * static_cast<int64_t>(submission->unscored);
  return submission;
}

void WindowBatcher::Cancel(const std::shared_ptr<Submission>& submission, WasteReason reason, absl::Status status) {
  std::vector<Finished> finished;
  {
    absl::MutexLock lock(&mutex_);
    if (submission->ended) return;
    submission->waste_reason = reason;
    finished.push_back(End(submission, std::move(status)));
  }
  CallBack(std::move(finished));
}

bool WindowBatcher::Drain(absl::Time deadline) {
  std::vector<Finished> cut_off;
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    if (clock_.AwaitUntil(mutex_, absl::Condition(this, &WindowBatcher::NothingPending), deadline)) return true;
    while (!live_.empty()) {
      cut_off.push_back(End(live_.front(), absl::UnavailableError("the server shut down before the audio was scored")));
    }
  }
  CallBack(std::move(cut_off));
  return false;
}

QueueSnapshot WindowBatcher::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  QueueSnapshot snapshot;
  snapshot.pending_windows = pending_windows_;
  snapshot.pending_audio = pending_audio_;
  if (!live_.empty()) snapshot.oldest_pending = clock_.Now() - live_.front()->submitted;
  for (const std::shared_ptr<Submission>& submission : live_) {
    snapshot.estimated_wait += cost_.Estimate(submission->work.model,
                                              submission->window_audio * static_cast<int64_t>(submission->unscored));
  }
  return snapshot;
}

// --- Admission ---

absl::Status WindowBatcher::Admit(const ScoringWork& work, absl::Duration window_audio, RejectReason* reject) const {
  if (draining_) {
    *reject = RejectReason::kDraining;
    return absl::UnavailableError("the server is shutting down; try another replica");
  }
  const absl::Duration audio = window_audio * static_cast<int64_t>(work.windows.size());
  const absl::Duration excess = pending_audio_ + audio - options_.max_queued_audio;
  // An empty queue takes anything: what is too long for it would otherwise be refused for ever.
  if (excess > absl::ZeroDuration() && !live_.empty()) {
    *reject = RejectReason::kQueueFull;
    return RetryLater(absl::StrFormat("the queue is full: %.0f s of audio wait, at most %.0f s may",
                                      absl::ToDoubleSeconds(pending_audio_), absl::ToDoubleSeconds(options_.max_queued_audio)),
                      std::max(kMinRetryDelay, cost_.Estimate(work.model, excess)));
  }
  const absl::Duration wait = EstimateCompletion(work, audio);
  if (clock_.Now() + wait > work.deadline) {
    *reject = RejectReason::kDeadline;
    return RetryLater(absl::StrFormat("the deadline can't be met: scoring would end in about %.2f s, the deadline is in %.2f s",
                                      absl::ToDoubleSeconds(wait), absl::ToDoubleSeconds(work.deadline - clock_.Now())),
                      std::max(kMinRetryDelay, wait));
  }
  return absl::OkStatus();
}

absl::Duration WindowBatcher::EstimateCompletion(const ScoringWork& work, absl::Duration audio) const {
  absl::Duration wait = cost_.Estimate(work.model, audio);
  for (const std::shared_ptr<Submission>& other : live_) {
    // Requests take turns window by window, so that a longer one delays this one by no more windows than this one has.
    // Bulk waits for all that is interactive.
    const bool overtaken = work.priority == Priority::kBulk && other->work.priority == Priority::kInteractive;
    if (work.priority == Priority::kInteractive && other->work.priority == Priority::kBulk) continue;
    const size_t windows = overtaken ? other->unscored : std::min(other->unscored, work.windows.size());
    wait += cost_.Estimate(other->work.model, other->window_audio * static_cast<int64_t>(windows));
  }
  return wait;
}

// --- The executor ---

void WindowBatcher::RunExecutor() {
  absl::StatusOr<std::vector<WarmupReport>> reports = WarmUpModels();
  {
    absl::MutexLock lock(&mutex_);
    for (size_t i = 0; reports.ok() && i < reports->size(); ++i) {
      max_batch_windows_[i] = (*reports)[i].max_batch_windows;
      const ModelSpec& spec = models_[i]->spec();
      cost_.Observe(static_cast<int>(i), absl::Seconds(1) * spec.window_samples / spec.sample_rate_hz,
                    (*reports)[i].window_device_time);
    }
    warmup_ = std::move(reports);
  }
  Batch batch;
  while (NextBatch(batch)) RunBatch(batch);
}

absl::StatusOr<std::vector<WarmupReport>> WindowBatcher::WarmUpModels() {
  std::vector<WarmupReport> reports;
  for (TaggingModel* model : models_) {
    CULTURETAG_ASSIGN_OR_RETURN(reports.emplace_back(), WarmUp(*model, options_.max_batch_windows, clock_, stop_warmup_));
  }
  return reports;
}

bool WindowBatcher::NextBatch(Batch& batch) {
  while (true) {
    std::vector<Finished> expired;
    bool running = true;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &WindowBatcher::HasWorkOrStops));
      if (!stopping_) {
        clock_.AwaitUntil(mutex_, absl::Condition(this, &WindowBatcher::IsRipeOrStops),
                          NextDecisionTime(BucketStates(), PolicyOptions()));
      }
      running = !stopping_;
      batch = Batch();
      if (running) TakeBatch(batch, expired);
    }
    CallBack(std::move(expired));
    if (!running) return false;
    if (!batch.entries.empty()) return true;
  }
}

void WindowBatcher::TakeBatch(Batch& batch, std::vector<Finished>& expired) {
  const absl::optional<BatchDecision> decision = Decide();
  if (!decision.has_value()) return;
  const auto found = std::next(buckets_.begin(), static_cast<std::ptrdiff_t>(decision->bucket));
  const BucketKey key = found->first;
  const absl::Time now = clock_.Now();
  batch.model = key.first;
  batch.reason = decision->reason;
  found->second.waiting_since = now;
  // The bucket goes as soon as it is empty, so it is looked up anew for each window.
  for (auto bucket = buckets_.find(key);
       bucket != buckets_.end() && batch.entries.size() < static_cast<size_t>(decision->windows);
       bucket = buckets_.find(key)) {
    const std::shared_ptr<Submission> submission = NextTurn(bucket->second);
    if (submission->work.deadline <= now) {
      submission->waste_reason = WasteReason::kExpired;
      expired.push_back(End(submission, absl::DeadlineExceededError("the deadline passed while the audio waited for the device")));
      continue;
    }
    batch.entries.push_back({submission, submission->next});
    TakeWindow(submission, now);
  }
}

const std::shared_ptr<WindowBatcher::Submission>& WindowBatcher::NextTurn(Bucket& bucket) {
  const SubmissionList& interactive = bucket.turns[static_cast<size_t>(Priority::kInteractive)];
  const SubmissionList& bulk = bucket.turns[static_cast<size_t>(Priority::kBulk)];
  const bool bulk_turn = interactive.empty() || (!bulk.empty() && bucket.interactive_in_a_row >= kBulkTurn - 1);
  bucket.interactive_in_a_row = bulk_turn || bulk.empty() ? 0 : bucket.interactive_in_a_row + 1;
  return bulk_turn ? bulk.front() : interactive.front();
}

void WindowBatcher::TakeWindow(const std::shared_ptr<Submission>& submission, absl::Time now) {
  const auto bucket = buckets_.find(submission->key);
  SubmissionList& turns = bucket->second.turns[static_cast<size_t>(submission->work.priority)];
  if (!submission->first_taken.has_value()) submission->first_taken = now;
  ++submission->next;
  --bucket->second.waiting_windows;
  if (submission->waits()) {
    turns.splice(turns.end(), turns, submission->turn);
  } else {
    turns.erase(submission->turn);
  }
  if (bucket->second.waiting_windows == 0) buckets_.erase(bucket);
}

void WindowBatcher::RunBatch(Batch& batch) {
  TaggingModel& model = *models_[static_cast<size_t>(batch.model)];
  std::vector<absl::Span<const float>> windows;
  windows.reserve(batch.entries.size());
  for (const BatchEntry& entry : batch.entries) windows.push_back(entry.submission->work.windows[entry.window]);

  const absl::Time start = clock_.Now();
  std::vector<absl::StatusOr<WindowOutput>> outputs = RunWithRetry(model, windows);
  const absl::Duration device_time = clock_.Now() - start;
  metrics_.RecordBatch(static_cast<int>(batch.entries.size()), batch.reason, device_time);
  CallBack(Deliver(batch, std::move(outputs), device_time));
  batch = Batch();
}

std::vector<absl::StatusOr<WindowOutput>> WindowBatcher::RunWithRetry(TaggingModel& model,
                                                                      absl::Span<const absl::Span<const float>> windows) {
  std::vector<absl::StatusOr<WindowOutput>> results;
  results.reserve(windows.size());
  const auto append = [&results](absl::StatusOr<std::vector<WindowOutput>> outputs, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (outputs.ok()) {
        results.emplace_back(std::move((*outputs)[i]));
      } else {
        // Whatever the device's trouble is, it isn't the client's.
        results.emplace_back(absl::InternalError(outputs.status().message()));
      }
    }
  };
  absl::StatusOr<std::vector<WindowOutput>> outputs = RunGuarded(model, windows);
  if (outputs.ok()) {
    append(std::move(outputs), windows.size());
    return results;
  }
  LogError("a batch failed; trying once more in halves",
           {{"model", model.spec().name}, {"windows", windows.size()}, {"error", outputs.status().ToString()}});
  const size_t half = (windows.size() + 1) / 2;
  append(RunGuarded(model, windows.subspan(0, half)), half);
  if (windows.size() > half) append(RunGuarded(model, windows.subspan(half)), windows.size() - half);
  return results;
}

std::vector<WindowBatcher::Finished> WindowBatcher::Deliver(const Batch& batch,
                                                            std::vector<absl::StatusOr<WindowOutput>> outputs,
                                                            absl::Duration device_time) {
  std::vector<Finished> finished;
  absl::Duration audio;
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < batch.entries.size(); ++i) {
    const std::shared_ptr<Submission>& submission = batch.entries[i].submission;
    audio += submission->window_audio;
    if (submission->ended) {
      metrics_.RecordWasted(submission->waste_reason, 1);
    } else if (!outputs[i].ok()) {
      finished.push_back(End(submission, outputs[i].status()));
    } else {
      metrics_.RecordScored(1, submission->window_audio);
      TakeOutput(*submission, batch.entries[i].window, std::move(*outputs[i]));
      if (submission->unscored == 0) finished.push_back(End(submission, ResultOf(*submission)));
    }
  }
  cost_.Observe(batch.model, audio, device_time);
  return finished;
}

void WindowBatcher::TakeOutput(Submission& submission, size_t window, WindowOutput output) {
  submission.outputs[window] = std::move(output);
  submission.work.windows[window] = {};  // a long track gives its memory back as it goes
  --submission.unscored;
  --pending_windows_;
  pending_audio_ -= submission.window_audio;
}

ScoringResult WindowBatcher::ResultOf(Submission& submission) const {
  ScoringResult result;
  result.outputs = std::move(submission.outputs);
  result.queue = *submission.first_taken - submission.submitted;
  result.inference = clock_.Now() - *submission.first_taken;
  return result;
}

// --- The queue's account ---

WindowBatcher::Finished WindowBatcher::End(const std::shared_ptr<Submission>& submission,
                                           absl::StatusOr<ScoringResult> result) {
  Finished finished{submission, std::move(result)};  // first, since `submission` may be the list's own copy
  Submission& ending = *finished.submission;
  ending.ended = true;
  if (ending.waits()) {
    const auto bucket = buckets_.find(ending.key);
    bucket->second.turns[static_cast<size_t>(ending.work.priority)].erase(ending.turn);
    bucket->second.waiting_windows -= static_cast<int>(ending.waiting());
    if (bucket->second.waiting_windows == 0) buckets_.erase(bucket);
  }
  pending_windows_ -= static_cast<int>(ending.unscored);
  pending_audio_ -= ending.window_audio * static_cast<int64_t>(ending.unscored);
  live_.erase(ending.live);
  return finished;
}

void WindowBatcher::CallBack(std::vector<Finished> finished) {
  for (Finished& one : finished) std::move(one.submission->callback)(std::move(one.result));
}

std::vector<BucketState> WindowBatcher::BucketStates() const {
  std::vector<BucketState> states;
  states.reserve(buckets_.size());
  for (const auto& [key, bucket] : buckets_) {
    states.push_back({bucket.waiting_windows, max_batch_windows_[static_cast<size_t>(key.first)], bucket.waiting_since});
  }
  return states;
}

absl::optional<BatchDecision> WindowBatcher::Decide() const {
  return DecideBatch(BucketStates(), PolicyOptions(), draining_, clock_.Now());
}

}  // namespace culturetag
