#include "batching/window_batcher.h"

#include <algorithm>

#include "base/logging.h"
#include "base/status_macros.h"
#include "batching/admission.h"

namespace culturetag {

// Guarded by the batcher's mutex, but for the windows' samples, which the executor reads while the device runs them.
class WindowBatcher::Submission final : public FairQueue::Entry, public std::enable_shared_from_this<Submission> {
 public:
  Submission(ScoringWork work, Callback callback_in, absl::Time now, absl::Duration audio)
      : Entry({work.model, work.windows.front().size()}, std::move(work.client), work.priority, audio, work.windows.size()),
        windows(std::move(work.windows)),
        deadline(work.deadline),
        submitted(now),
        callback(std::move(callback_in)),
        unscored(windows.size()),
        outputs(windows.size()) {}

  std::vector<std::vector<float>> windows;
  const absl::Time deadline;
  const absl::Time submitted;
  Callback callback;
  absl::optional<absl::Time> first_taken;
  size_t unscored;  // waiting or on the device
  std::vector<WindowOutput> outputs;
  bool ended = false;
  WasteReason waste_reason = WasteReason::kCancelled;  // if it ended while the device ran a window of it
  SubmissionList::iterator live;                       // in live_, until it has ended
};

namespace {

// Of one window each, until the warm-up has measured more.
std::vector<FullBatch> FullBatchesOf(absl::Span<TaggingModel* const> models) {
  std::vector<FullBatch> batches;
  for (const TaggingModel* model : models) {
    const ModelSpec& spec = model->spec();
    FullBatch& batch = batches.emplace_back();
    batch.key = {static_cast<int>(batches.size()) - 1, static_cast<size_t>(spec.window_samples)};
    batch.window_audio = absl::Seconds(1) * spec.window_samples / spec.sample_rate_hz;
  }
  return batches;
}

}  // namespace

WindowBatcher::WindowBatcher(const Options& options, std::vector<TaggingModel*> models, Clock& clock, Metrics& metrics)
    : options_(options),
      models_(std::move(models)),
      clock_(clock),
      metrics_(metrics),
      queue_(options.fairness),
      pending_audio_of_model_(models_.size()),
      full_batches_(FullBatchesOf(models_)),
      runner_(metrics, options.on_device_health),
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
  const int model = work.model;
  const auto windows = static_cast<int>(work.windows.size());
  const absl::Duration window_audio = absl::Seconds(1) * static_cast<int64_t>(work.windows.front().size()) /
                                      models_[static_cast<size_t>(model)]->spec().sample_rate_hz;
  absl::MutexLock lock(&mutex_);
  CULTURETAG_RETURN_IF_ERROR(CheckAdmission(work, window_audio, reject));
  auto submission = std::make_shared<Submission>(std::move(work), std::move(callback), clock_.Now(), window_audio);
  submission->live = live_.insert(live_.end(), submission);
  queue_.Push(*submission, submission->submitted);
  pending_windows_ += windows;
  pending_audio_ += window_audio * windows;
  pending_audio_of_model_[static_cast<size_t>(model)] += window_audio * windows;
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
  for (size_t model = 0; model < models_.size(); ++model) {
    snapshot.estimated_wait += DeviceTime(cost_, full_batches_[model], pending_audio_of_model_[model]);
  }
  return snapshot;
}

// --- Admission ---

absl::Status WindowBatcher::CheckAdmission(const ScoringWork& work, absl::Duration window_audio, RejectReason* reject) const {
  if (draining_) {
    *reject = RejectReason::kDraining;
    return absl::UnavailableError("the server is shutting down; try another replica");
  }
  AdmissionCase request;
  request.pending_audio = pending_audio_;
  request.max_queued_audio = options_.max_queued_audio;
  request.audio = window_audio * static_cast<int64_t>(work.windows.size());
  request.excess_time = DeviceTime(cost_, full_batches_[static_cast<size_t>(work.model)],
                                   pending_audio_ + request.audio - options_.max_queued_audio);
  request.completion = EstimateCompletion({{work.model, work.windows.front().size()}, work.client, work.priority,
                                           static_cast<int>(work.windows.size()), window_audio},
                                          std::max(absl::ZeroDuration(), device_free_ - clock_.Now()), queue_, cost_,
                                          full_batches_);
  request.time_left = work.deadline - clock_.Now();
  return Admit(request, reject);
}

// --- The executor ---

void WindowBatcher::RunExecutor() {
  absl::StatusOr<std::vector<WarmupReport>> reports = WarmUpModels();
  {
    absl::MutexLock lock(&mutex_);
    for (size_t i = 0; reports.ok() && i < reports->size(); ++i) {
      const WarmupReport& report = (*reports)[i];
      full_batches_[i].windows = report.max_batch_windows;
      metrics_.SetMaxBatchWindows(models_[i]->spec().name, report.max_batch_windows);
      cost_.Observe(full_batches_[i].key, report.max_batch_windows, report.window_device_time * report.max_batch_windows);
    }
    warmup_ = std::move(reports);
  }
  Batch batch;
  while (NextBatch(batch)) {
    if (batch.entries.empty()) {
      Probe();
    } else {
      RunBatch(batch);
    }
    batch = Batch();  // lets go of the submissions
  }
}

absl::StatusOr<std::vector<WarmupReport>> WindowBatcher::WarmUpModels() {
  std::vector<WarmupReport> reports;
  for (TaggingModel* model : models_) {
    CULTURETAG_ASSIGN_OR_RETURN(reports.emplace_back(), WarmUp(*model, options_.max_batch_windows, clock_, stop_warmup_));
  }
  return reports;
}

// False when the batcher stops. An empty batch asks for a probe.
bool WindowBatcher::NextBatch(Batch& batch) {
  while (true) {
    std::vector<Finished> expired;
    bool probe = false;
    {
      absl::MutexLock lock(&mutex_);
      AwaitWork();
      if (stopping_) return false;
      probe = queue_.empty() && runner_.sick();
      TakeBatch(batch, expired);
    }
    CallBack(std::move(expired));
    if (probe || !batch.entries.empty()) return true;
  }
}

void WindowBatcher::AwaitWork() {
  const absl::Condition has_work(this, &WindowBatcher::HasWorkOrStops);
  if (runner_.sick()) {
    if (!clock_.AwaitUntil(mutex_, has_work, clock_.Now() + kProbeInterval)) return;
  } else {
    mutex_.Await(has_work);
  }
  std::vector<BucketState> states;
  for (const auto& [key, state] : Buckets()) states.push_back(state);
  clock_.AwaitUntil(mutex_, absl::Condition(this, &WindowBatcher::IsRipeOrStops),
                    NextDecisionTime(states, {options_.max_queue_delay}));
}

void WindowBatcher::TakeBatch(Batch& batch, std::vector<Finished>& expired) {
  const auto decision = Decide();
  if (!decision.has_value()) return;
  batch.key = decision->first;
  batch.reason = decision->second.reason;
  const auto wanted = static_cast<size_t>(decision->second.windows);
  const absl::Time now = clock_.Now();
  while (batch.entries.size() < wanted && queue_.has(batch.key)) {
    const auto submission = static_cast<Submission&>(queue_.Next(batch.key)).shared_from_this();
    if (submission->deadline <= now) {
      submission->waste_reason = WasteReason::kExpired;
      expired.push_back(End(submission, absl::DeadlineExceededError("the deadline passed while the audio waited for the device")));
      continue;
    }
    if (!submission->first_taken.has_value()) submission->first_taken = now;
    batch.entries.push_back({submission, submission->windows.size() - submission->waiting()});
    queue_.TakeWindow(*submission, now);
  }
  device_free_ = now + cost_.Pass(batch.key, static_cast<int>(batch.entries.size()));
}

void WindowBatcher::RunBatch(const Batch& batch) {
  TaggingModel& model = *models_[static_cast<size_t>(batch.key.first)];
  std::vector<absl::Span<const float>> windows;
  windows.reserve(batch.entries.size());
  for (const BatchEntry& entry : batch.entries) windows.push_back(entry.submission->windows[entry.window]);

  const absl::Time start = clock_.Now();
  int max_batch_windows = static_cast<int>(windows.size());
  std::vector<absl::StatusOr<WindowOutput>> outputs = runner_.Run(model, windows, max_batch_windows);
  const absl::Duration device_time = clock_.Now() - start;
  metrics_.RecordBatch(static_cast<int>(windows.size()), batch.reason, device_time);
  if (max_batch_windows < static_cast<int>(windows.size())) {
    absl::MutexLock lock(&mutex_);
    full_batches_[static_cast<size_t>(batch.key.first)].windows = max_batch_windows;
  }
  CallBack(Deliver(batch, std::move(outputs), device_time));
}

// Sees whether a sick device works again, on silence, which no request waits for.
void WindowBatcher::Probe() {
  TaggingModel& model = *models_.front();
  const std::vector<float> silence(static_cast<size_t>(model.spec().min_clip_samples));
  int max_batch_windows = 1;
  runner_.Run(model, {silence}, max_batch_windows);
}

std::vector<WindowBatcher::Finished> WindowBatcher::Deliver(const Batch& batch,
                                                            std::vector<absl::StatusOr<WindowOutput>> outputs,
                                                            absl::Duration device_time) {
  std::vector<Finished> finished;
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < batch.entries.size(); ++i) {
    const std::shared_ptr<Submission>& submission = batch.entries[i].submission;
    if (submission->ended) {
      metrics_.RecordWasted(submission->waste_reason, 1);
    } else if (!outputs[i].ok()) {
      finished.push_back(End(submission, outputs[i].status()));
    } else {
      metrics_.RecordScored(1, submission->window_audio());
      TakeOutput(*submission, batch.entries[i].window, std::move(*outputs[i]));
      if (submission->unscored == 0) finished.push_back(End(submission, ResultOf(*submission)));
    }
  }
  cost_.Observe(batch.key, static_cast<int>(batch.entries.size()), device_time);
  return finished;
}

void WindowBatcher::TakeOutput(Submission& submission, size_t window, WindowOutput output) {
  submission.outputs[window] = std::move(output);
  submission.windows[window] = {};  // a long track gives its memory back as it goes
  --submission.unscored;
  --pending_windows_;
  pending_audio_ -= submission.window_audio();
  pending_audio_of_model_[static_cast<size_t>(submission.key().first)] -= submission.window_audio();
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
  const absl::Duration unscored_audio = ending.window_audio() * static_cast<int64_t>(ending.unscored);
  ending.ended = true;
  queue_.Remove(ending);
  pending_windows_ -= static_cast<int>(ending.unscored);
  pending_audio_ -= unscored_audio;
  pending_audio_of_model_[static_cast<size_t>(ending.key().first)] -= unscored_audio;
  live_.erase(ending.live);
  return finished;
}

void WindowBatcher::CallBack(std::vector<Finished> finished) {
  for (Finished& one : finished) {
    // Moved out, so that what the callback holds goes with it: its owner may hold the submission in turn.
    Callback callback = std::move(one.submission->callback);
    std::move(callback)(std::move(one.result));
  }
}

std::vector<std::pair<BucketKey, BucketState>> WindowBatcher::Buckets() const {
  auto buckets = queue_.Buckets();
  for (auto& [key, state] : buckets) state.max_batch_windows = full_batches_[static_cast<size_t>(key.first)].windows;
  return buckets;
}

absl::optional<std::pair<BucketKey, BatchDecision>> WindowBatcher::Decide() const {
  const auto buckets = Buckets();
  std::vector<BucketState> states;
  for (const auto& [key, state] : buckets) states.push_back(state);
  const absl::optional<BatchDecision> decision = DecideBatch(states, {options_.max_queue_delay}, draining_, clock_.Now());
  if (!decision.has_value()) return absl::nullopt;
  return std::make_pair(buckets[decision->bucket].first, *decision);
}

}  // namespace culturetag
