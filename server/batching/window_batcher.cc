#include "batching/window_batcher.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "batching/completion_estimate.h"
#include "batching/submission.h"

namespace culturetag {
namespace {

// Callbacks that may wait for the thread that makes them. More of them means that building responses takes longer than
// scoring; then the device had better wait.
constexpr int kMaxQueuedCompletions = 64;

}  // namespace

WindowBatcher::WindowBatcher(const Options& options, std::vector<std::vector<TaggingModel*>> executors, Clock& clock,
                             Metrics& metrics)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      queue_(options.fairness),
      models_(executors.size()),
      devices_(executors.size()),
      completions_(1, kMaxQueuedCompletions) {
  for (const TaggingModel* model : executors.front()) models_.Add(model->spec());
  ExecutorHost& host = *this;
  for (const std::vector<TaggingModel*>& models : executors) {
    const auto index = static_cast<int>(executors_.size());
    executors_.push_back(std::make_unique<Executor>(index, options.max_batch_windows, host, clock, metrics));
    for (size_t slot = 0; slot < models.size(); ++slot) executors_.back()->Add(static_cast<int>(slot), *models[slot]);
  }
  expiry_ = std::thread([this] { RunExpiry(); });
}

WindowBatcher::~WindowBatcher() {
  StopWarmup();
  Drain(clock_.Now());
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  expiry_.join();
  executors_.clear();
}

// --- Requests ---

absl::StatusOr<std::shared_ptr<WindowBatcher::Submission>> WindowBatcher::Open(ScoringRequest request, Callback callback,
                                                                               RejectReason* reject) {
  absl::MutexLock lock(&mutex_);
  const absl::Duration window_audio = models_.WindowAudio(request.model, request.window_samples);
  absl::optional<absl::Duration> estimate;
  CULTURETAG_RETURN_IF_ERROR(CheckAdmission(request, window_audio, estimate, reject));
  if (!request.length_known) estimate.reset();
  auto submission = std::make_shared<Submission>(std::move(request), window_audio, std::move(callback));
  submission->opened = clock_.Now();
  submission->estimate = estimate;
  submission->live = live_.insert(live_.end(), submission);
  submission->expiry = deadlines_.emplace(submission->deadline(), submission.get());
  if (submission->expiry == deadlines_.begin()) ++earlier_deadlines_;
  queue_.Expect(*submission, window_audio * submission->expected_windows);
  Account(*submission);
  return submission;
}

absl::Status WindowBatcher::WouldAdmit(const ScoringRequest& request, RejectReason* reject) const {
  absl::optional<absl::Duration> unused;
  absl::MutexLock lock(&mutex_);
  return CheckAdmission(request, models_.WindowAudio(request.model, request.window_samples), unused, reject);
}

void WindowBatcher::Push(const std::shared_ptr<Submission>& submission, std::vector<std::vector<float>> windows) {
  absl::MutexLock lock(&mutex_);
  if (submission->ended) return;
  const absl::Time now = clock_.Now();
  for (std::vector<float>& window : windows) submission->windows.push_back({std::move(window), now});
  submission->unscored += static_cast<int64_t>(windows.size());
  queue_.Push(*submission, windows.size(), now);
  Account(*submission);
  ++queue_changes_;
}

void WindowBatcher::Close(const std::shared_ptr<Submission>& submission) {
  absl::MutexLock lock(&mutex_);
  if (submission->ended) return;
  submission->closed = true;
  queue_.Expect(*submission, absl::ZeroDuration());
  Account(*submission);
  EndIfDone(*submission);
}

void WindowBatcher::Cancel(const std::shared_ptr<Submission>& submission, WasteReason reason, absl::Status status) {
  std::vector<Delivery> last;
  {
    absl::MutexLock lock(&mutex_);
    if (submission->ended) return;
    submission->waste_reason = reason;
    if (reason == WasteReason::kExpired) submission->ObserveEnd(correction_, absl::InfiniteDuration());
    last.push_back(End(*submission, std::move(status)));
  }
  CallBack(last);
}

void WindowBatcher::CallBack(std::vector<Delivery>& deliveries) {
  for (Delivery& one : deliveries) (*one.callback)(std::move(one.result));
}

void WindowBatcher::HurryUp() {
  absl::MutexLock lock(&mutex_);
  hurrying_ = true;
  ++queue_changes_;
}

bool WindowBatcher::Drain(absl::Time deadline) {
  HurryUp();
  std::vector<Delivery> cut_off;
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    if (clock_.AwaitUntil(mutex_, absl::Condition(this, &WindowBatcher::NothingPending), deadline)) return true;
    const absl::Status late = absl::UnavailableError("the server shut down before the audio was scored");
    while (!live_.empty()) cut_off.push_back(End(*live_.front(), late));
  }
  CallBack(cut_off);
  return false;
}

QueueSnapshot WindowBatcher::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  QueueSnapshot snapshot;
  snapshot.pending_windows = static_cast<int>(pending_.windows());
  absl::Time oldest = clock_.Now();
  for (const std::shared_ptr<Submission>& submission : live_) oldest = std::min(oldest, submission->oldest_window());
  snapshot.oldest_pending = clock_.Now() - oldest;
  for (const auto& [model, audio] : pending_.audio_of_model()) {
    snapshot.pending_audio += audio;
    snapshot.estimated_wait += DeviceTime(cost_, models_.full_batch(model), audio) / devices_.size();
  }
  return snapshot;
}

absl::Status WindowBatcher::CheckAdmission(const ScoringRequest& request, absl::Duration window_audio,
                                           absl::optional<absl::Duration>& estimate, RejectReason* reject) const {
  if (draining_) {
    *reject = RejectReason::kDraining;
    return absl::UnavailableError("the server is shutting down; try another replica");
  }
  if (!request.expected_windows.has_value()) return absl::OkStatus();
  const QueueView view = View();
  const FullBatch& full = models_.full_batch(request.model);
  const absl::Duration max_queued_audio =
      options_.max_queued_audio > absl::ZeroDuration()
          ? options_.max_queued_audio
          : std::max(kLeastQueuedAudio, AudioWithin(cost_, full, view.executors, kQueueTime));
  const NewRequest wanted = {{request.model, request.window_samples}, request.client, request.priority,
                             static_cast<int>(*request.expected_windows), window_audio};
  const AdmissionCase admission = MakeAdmissionCase(wanted, request.deadline - clock_.Now(), max_queued_audio, view);
  estimate = admission.estimate;
  return Admit(admission, reject);
}

QueueView WindowBatcher::View() const {
  const absl::Time now = clock_.Now();
  absl::Duration busy = absl::InfiniteDuration();
  for (const DeviceState& device : devices_) busy = std::min(busy, device.Busy(now));
  return {queue_, cost_, models_.full_batches(), pending_, correction_, static_cast<int>(devices_.size()), busy};
}

void WindowBatcher::Account(Submission& submission) {
  const int64_t change = submission.pending_windows() - submission.accounted_windows;
  if (change == 0) return;
  submission.accounted_windows += change;
  pending_.Add(submission, change);
  if (pending_.windows() == 0) correction_.RanDry();
}

void WindowBatcher::Leave(Submission& submission) {
  submission.ended = true;
  submission.callback.reset();  // it may hold whoever holds the submission
  queue_.Remove(submission);
  Account(submission);
  deadlines_.erase(submission.expiry);
  live_.erase(submission.live);  // last: it may have been the only owner
}

WindowBatcher::Delivery WindowBatcher::End(Submission& submission, absl::Status status) {
  Delivery last = {std::move(submission.callback), std::move(status), std::exchange(submission.windows, {})};
  Leave(submission);
  return last;
}

void WindowBatcher::EndIfDone(Submission& submission) {
  if (!submission.closed || submission.unscored > 0 || submission.ended) return;
  submission.ObserveEnd(correction_, clock_.Now() - submission.opened);
  Leave(submission);
}

WindowBatcher::Delivery WindowBatcher::Expire(Submission& submission) {
  submission.waste_reason = WasteReason::kExpired;
  submission.ObserveEnd(correction_, absl::InfiniteDuration());
  return End(submission, absl::DeadlineExceededError("the deadline passed while the audio waited for the device"));
}

void WindowBatcher::RunExpiry() {
  while (true) {
    std::vector<Delivery> expired;
    {
      absl::MutexLock lock(&mutex_);
      AwaitChange(earlier_deadlines_, deadlines_.empty() ? absl::InfiniteFuture() : deadlines_.begin()->first);
      if (stopping_) return;
      const absl::Time now = clock_.Now();
      while (!deadlines_.empty() && deadlines_.begin()->first <= now) expired.push_back(Expire(*deadlines_.begin()->second));
    }
    CallBack(expired);
  }
}

// --- Executors ---

absl::optional<Batch> WindowBatcher::TakeBatch(int executor) {
  while (true) {
    std::vector<Delivery> expired;
    absl::optional<Batch> batch;
    {
      absl::MutexLock lock(&mutex_);
      DeviceState& device = devices_[static_cast<size_t>(executor)];
      const absl::optional<Turn> turn = AwaitTurn(device);
      if (!turn.has_value()) return absl::nullopt;
      batch = turn->batch.has_value() ? FormBatch(turn->batch->first, turn->batch->second, expired) : Probe();
      if (turn->batch.has_value() && batch->entries.empty()) batch.reset();
      if (batch.has_value()) {
        ++device.batches;
        ++models_.at(batch->key.first).batches;
      }
    }
    CallBack(expired);
    if (batch.has_value()) return batch;
  }
}

absl::optional<WindowBatcher::Turn> WindowBatcher::AwaitTurn(DeviceState& device) {
  while (!stopping_) {
    const absl::Time turn = warm_ ? device.Turn() : absl::InfiniteFuture();
    if (turn > clock_.Now()) {
      AwaitChange(device.changes, turn);
    } else if (queue_.empty() || OnlyProbes(device)) {
      if (device.sick && clock_.Now() >= device.probe_at) return Turn();
      AwaitChange(queue_changes_, device.sick ? device.probe_at : absl::InfiniteFuture());
    } else {
      const WaitingBuckets buckets = BucketsOf(queue_, cost_, models_.full_batches());
      const BatchPolicyOptions policy = {options_.max_queue_delay};
      const absl::optional<BatchDecision> decision = DecideBatch(buckets.states, policy, hurrying_, clock_.Now());
      if (decision.has_value()) return Turn{std::make_pair(buckets.keys[decision->bucket], *decision)};
      AwaitChange(queue_changes_, NextDecisionTime(buckets.states, policy));
    }
  }
  return absl::nullopt;
}

void WindowBatcher::AwaitChange(const uint64_t& counter, absl::Time until) {
  struct Change {
    const uint64_t& counter;
    const uint64_t seen;
    const bool& stopping;
    bool Came() const { return stopping || counter != seen; }
  };
  const Change change = {counter, counter, stopping_};
  const absl::Condition came(&change, &Change::Came);
  if (until == absl::InfiniteFuture()) {
    mutex_.Await(came);
  } else {
    clock_.AwaitUntil(mutex_, came, until);
  }
}

bool WindowBatcher::AnyWell() const {
  return std::any_of(devices_.begin(), devices_.end(), [](const DeviceState& device) { return !device.sick; });
}

Batch WindowBatcher::Probe() const {
  Batch probe;
  probe.key.first = models_.AnyServing();
  return probe;
}

Batch WindowBatcher::FormBatch(const BucketKey& key, const BatchDecision& decision, std::vector<Delivery>& expired) {
  const absl::Time now = clock_.Now();
  Batch batch;
  batch.key = key;
  batch.reason = decision.reason;
  while (batch.entries.size() < static_cast<size_t>(decision.windows) && queue_.has(batch.key)) {
    const auto submission = static_cast<Submission&>(queue_.Next(batch.key)).shared_from_this();
    if (submission->deadline() <= now) {
      expired.push_back(Expire(*submission));  // before RunExpiry has come to it
      continue;
    }
    WaitingWindow& window = submission->windows.front();
    const auto place = batch.entries.empty() ? FairQueue::Place::kLeads : FairQueue::Place::kFills;
    submission->oldest_on_device = std::min(submission->oldest_on_device, window.pushed);
    batch.entries.push_back({submission, submission->taken++, std::move(window.samples), window.pushed});
    submission->windows.pop_front();
    batch.hidden_states |= submission->hidden_states;
    queue_.TakeWindow(*submission, place, now);
  }
  return batch;
}

void WindowBatcher::PassStarts(int executor, const Batch& batch) {
  absl::MutexLock lock(&mutex_);
  DeviceState& device = devices_[static_cast<size_t>(executor)];
  device.free_at = clock_.Now() + cost_.Pass(batch.key, static_cast<int>(batch.entries.size()));
  ++device.changes;
}

void WindowBatcher::PassEnded(int executor, Batch batch, PassResult result) {
  std::vector<Delivery> deliveries;
  {
    absl::MutexLock lock(&mutex_);
    DeviceState& device = devices_[static_cast<size_t>(executor)];
    --device.batches;
    --models_.at(batch.key.first).batches;
    ++device.changes;
    device.free_at = absl::InfiniteFuture();
    device.probe_at = clock_.Now() + kProbeInterval;
    if (batch.entries.empty()) return;
    LearnFrom(device, batch, result);
    for (size_t i = 0; i < batch.entries.size(); ++i) {
      Batch::Entry& entry = batch.entries[i];
      auto& submission = static_cast<Submission&>(*entry.owner);
      if (submission.ended) {
        metrics_.RecordWasted(submission.waste_reason, 1);
      } else if (!result.outputs[i].ok()) {
        deliveries.push_back(End(submission, result.outputs[i].status()));
      } else {
        deliveries.push_back(Score(submission, entry, *std::move(result.outputs[i]), result.start));
      }
    }
  }
  metrics_.RecordBatch(static_cast<int>(batch.entries.size()), batch.reason, result.device_time);
  WorkerPool::Work call_back = [deliveries = std::move(deliveries)]() mutable { CallBack(deliveries); };
  if (!completions_.TrySchedule(std::move(call_back))) std::move(call_back)();
}

WindowBatcher::Delivery WindowBatcher::Score(Submission& submission, Batch::Entry& entry, WindowOutput output,
                                             absl::Time taken) {
  metrics_.RecordScored(1, submission.window_audio());
  ++submission.scored;
  --submission.unscored;
  if (submission.unscored == static_cast<int64_t>(submission.windows.size())) {
    submission.oldest_on_device = absl::InfiniteFuture();
  }
  Account(submission);
  Delivery delivery{submission.callback, ScoredWindow{entry.window, std::move(output), taken - entry.pushed, taken}};
  EndIfDone(submission);
  return delivery;
}

void WindowBatcher::LearnFrom(DeviceState& device, const Batch& batch, const PassResult& result) {
  const auto windows = static_cast<int>(batch.entries.size());
  FullBatch& full = models_.full_batch(batch.key.first);
  if (result.max_batch_windows < windows) full.windows = std::min(full.windows, result.max_batch_windows);
  if (!result.complete()) return;
  cost_.Observe(batch.key, windows, result.device_time);
  device.LearnStaging(result.staging_time / windows, full.windows, cost_.Pass(full.key, full.windows));
}

void WindowBatcher::HealthChanged(int executor, bool well) {
  absl::MutexLock order(&health_mutex_);
  bool was_well = false, is_well = false;
  {
    absl::MutexLock lock(&mutex_);
    was_well = AnyWell();
    devices_[static_cast<size_t>(executor)].sick = !well;
    is_well = AnyWell();
    ++queue_changes_;  // who only probes may have changed
  }
  if (was_well != is_well) options_.on_device_health(is_well);
}

}  // namespace culturetag
