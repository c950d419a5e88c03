#include "batching/executor.h"

namespace culturetag {
namespace {

std::vector<absl::Span<const float>> SamplesOf(const Batch& batch) {
  std::vector<absl::Span<const float>> windows;
  windows.reserve(batch.entries.size());
  for (const Batch::Entry& entry : batch.entries) windows.push_back(entry.samples);
  return windows;
}

}  // namespace

Executor::Executor(int index, int max_batch_windows, ExecutorHost& host, Clock& clock, Metrics& metrics)
    : index_(index),
      max_batch_windows_(max_batch_windows),
      host_(host),
      clock_(clock),
      runner_(metrics, [this](bool well) { host_.HealthChanged(index_, well); }),
      device_([this] { RunDevice(); }),
      stager_([this] { RunStager(); }) {}

Executor::~Executor() {
  stager_.join();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  device_.join();
}

void Executor::Add(int slot, TaggingModel& model) {
  absl::MutexLock lock(&mutex_);
  cold_.emplace_back(slot, &model);
}

void Executor::Remove(int slot) {
  absl::MutexLock lock(&mutex_);
  models_.erase(slot);
}

void Executor::RunStager() {
  while (absl::optional<Batch> batch = host_.TakeBatch(index_)) {
    Staged staged = Stage(*std::move(batch));
    absl::MutexLock lock(&mutex_);
    staged_.push_back(std::move(staged));
  }
}

Executor::Staged Executor::Stage(Batch batch) {
  if (batch.entries.empty()) return {std::move(batch), nullptr, absl::ZeroDuration()};
  const absl::Time start = clock_.Now();
  auto windows = StageGuarded(ModelOf(batch), SamplesOf(batch));
  return {std::move(batch), std::move(windows), clock_.Now() - start};
}

void Executor::RunDevice() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &Executor::HasWorkOrStops));
      if (!HasWork()) return;
    }
    RunStaged();
    WarmUpNext();
  }
}

void Executor::RunStaged() {
  std::vector<Staged> staged;
  {
    absl::MutexLock lock(&mutex_);
    staged.swap(staged_);
  }
  for (Staged& one : staged) RunPass(std::move(one));
}

void Executor::WarmUpNext() {
  std::pair<int, TaggingModel*> cold;
  {
    absl::MutexLock lock(&mutex_);
    if (cold_.empty()) return;
    cold = cold_.front();
    cold_.pop_front();
  }
  absl::StatusOr<WarmupReport> report =
      WarmUp(*cold.second, max_batch_windows_, clock_, stop_warmup_, [this] { RunStaged(); });
  {
    absl::MutexLock lock(&mutex_);
    models_.insert(cold);
  }
  host_.WarmupEnded(index_, cold.first, std::move(report));
}

TaggingModel& Executor::ModelOf(const Batch& batch) {
  absl::MutexLock lock(&mutex_);
  return *models_.at(batch.key.first);
}

void Executor::RunPass(Staged staged) {
  if (staged.batch.entries.empty()) return Probe(std::move(staged.batch));
  const Batch& batch = staged.batch;
  host_.PassStarts(index_, batch);
  PassResult result;
  result.staging_time = staged.staging_time;
  result.max_batch_windows = static_cast<int>(batch.entries.size());
  result.start = clock_.Now();
  result.outputs = runner_.Run(ModelOf(batch), SamplesOf(batch), std::move(staged.windows), batch.hidden_states,
                               result.max_batch_windows);
  result.device_time = clock_.Now() - result.start;
  host_.PassEnded(index_, std::move(staged.batch), std::move(result));
}

// On silence, which no request waits for.
void Executor::Probe(Batch batch) {
  TaggingModel& model = ModelOf(batch);
  const std::vector<float> silence(static_cast<size_t>(model.spec().min_clip_samples));
  const std::vector<absl::Span<const float>> windows = {silence};
  PassResult result;
  result.max_batch_windows = 1;
  runner_.Run(model, windows, StageGuarded(model, windows), false, result.max_batch_windows);
  host_.PassEnded(index_, std::move(batch), std::move(result));
}

}  // namespace culturetag
