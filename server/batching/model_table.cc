#include "batching/model_table.h"

#include <algorithm>
#include <utility>

#include "base/sample_time.h"
#include "base/status_macros.h"

namespace culturetag {

int ModelTable::Add(const ModelSpec& spec) {
  const auto free = [](const Model& model) { return model.state == State::kFree; };
  const int slot = static_cast<int>(std::find_if(models_.begin(), models_.end(), free) - models_.begin());
  if (slot == size()) {
    models_.emplace_back();
    full_batches_.emplace_back();
  }
  Model& model = at(slot);
  model.name = spec.name;
  model.sample_rate_hz = spec.sample_rate_hz;
  model.state = State::kWarmingUp;
  const auto samples = static_cast<size_t>(spec.window_samples);
  full_batch(slot) = {{slot, samples}, WindowAudio(slot, samples), 1};
  return slot;
}

void ModelTable::WarmupEnded(int slot, absl::StatusOr<WarmupReport> report) {
  Model& model = at(slot);
  FullBatch& full = full_batch(slot);
  if (report.ok()) full.windows = model.warmups.empty() ? report->max_batch_windows : std::min(full.windows, report->max_batch_windows);
  model.warmups.push_back(std::move(report));
  if (model.warmups.size() == executors_) model.state = State::kServing;
}

bool ModelTable::AllWarmupsEnded() const {
  return std::none_of(models_.begin(), models_.end(), [](const Model& model) { return model.state == State::kWarmingUp; });
}

absl::StatusOr<WarmupReport> ModelTable::Warmup(int slot) const {
  for (const auto& warmup : at(slot).warmups) CULTURETAG_RETURN_IF_ERROR(warmup.status());
  WarmupReport report = *at(slot).warmups.front();
  report.max_batch_windows = full_batch(slot).windows;
  return report;
}

int ModelTable::AnyServing() const {
  const auto serving = [](const Model& model) { return model.state == State::kServing; };
  return static_cast<int>(std::find_if(models_.begin(), models_.end(), serving) - models_.begin());
}

absl::Duration ModelTable::WindowAudio(int slot, size_t samples) const {
  return SamplesToDuration(static_cast<int64_t>(samples), at(slot).sample_rate_hz);
}

}  // namespace culturetag
