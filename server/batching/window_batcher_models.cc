// The part of the batcher that has models come and go.
#include <utility>

#include "base/status_macros.h"
#include "batching/window_batcher.h"

namespace culturetag {

absl::StatusOr<std::vector<WarmupReport>> WindowBatcher::WaitUntilWarm() {
  std::vector<WarmupReport> reports;
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&warm_));
  for (int slot = 0; slot < models_.size(); ++slot) {
    CULTURETAG_ASSIGN_OR_RETURN(reports.emplace_back(), models_.Warmup(slot));
    metrics_.SetMaxBatchWindows(models_.at(slot).name, reports.back().max_batch_windows);
  }
  return reports;
}

absl::StatusOr<WindowBatcher::AddedModel> WindowBatcher::AddModel(const std::vector<TaggingModel*>& instances) {
  AddedModel added;
  {
    absl::MutexLock lock(&mutex_);
    added.slot = models_.Add(instances.front()->spec());
  }
  for (size_t i = 0; i < executors_.size(); ++i) executors_[i]->Add(added.slot, *instances[i]);
  absl::StatusOr<WarmupReport> warmup;
  {
    const auto ended = [this, slot = added.slot]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return models_.at(slot).state == ModelTable::State::kServing;
    };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&ended));
    warmup = models_.Warmup(added.slot);
  }
  if (!warmup.ok()) {
    RemoveModel(added.slot);
    return warmup.status();
  }
  added.warmup = *warmup;
  metrics_.SetMaxBatchWindows(instances.front()->spec().name, warmup->max_batch_windows);
  return added;
}

void WindowBatcher::RemoveModel(int slot) {
  {
    const auto idle = [this, slot]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return models_.at(slot).batches == 0; };
    absl::MutexLock lock(&mutex_);
    models_.at(slot).state = ModelTable::State::kLeaving;
    mutex_.Await(absl::Condition(&idle));
  }
  for (const auto& executor : executors_) executor->Remove(slot);
  absl::MutexLock lock(&mutex_);
  models_.Remove(slot);
  cost_.Forget(slot);
}

void WindowBatcher::StopWarmup() {
  for (const auto& executor : executors_) executor->StopWarmup();
}

void WindowBatcher::WarmupEnded(int, int model, absl::StatusOr<WarmupReport> report) {
  absl::MutexLock lock(&mutex_);
  if (report.ok()) {
    for (const auto& [windows, pass] : report->passes) cost_.Observe(models_.full_batch(model).key, windows, pass);
  }
  models_.WarmupEnded(model, std::move(report));
  warm_ = warm_ || models_.AllWarmupsEnded();
  for (DeviceState& device : devices_) ++device.changes;
}

}  // namespace culturetag
