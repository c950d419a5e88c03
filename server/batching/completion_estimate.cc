#include "batching/completion_estimate.h"

#include <algorithm>

namespace culturetag {

absl::Duration DeviceTime(const CostModel& cost, const FullBatch& batch, absl::Duration audio) {
  return cost.Pass(batch.key, batch.windows) * absl::FDivDuration(audio, batch.window_audio * batch.windows);
}

absl::Duration AudioWithin(const CostModel& cost, const FullBatch& batch, int executors, absl::Duration time) {
  const absl::Duration pass = cost.Pass(batch.key, batch.windows);
  if (pass <= absl::ZeroDuration()) return absl::ZeroDuration();
  return batch.window_audio * batch.windows * (absl::FDivDuration(time, pass) * executors);
}

absl::Duration EstimateCompletion(const NewRequest& request, const QueueView& view) {
  absl::Duration completion = view.device_busy;
  const absl::Duration audio = request.window_audio * request.windows;
  for (const auto& [model, ahead] : view.queue.AudioAhead(request.client, request.priority, audio)) {
    completion += DeviceTime(view.cost, view.full_batches[static_cast<size_t>(model)], ahead) / view.executors;
  }
  const int batch = std::min(request.windows, view.full_batches[static_cast<size_t>(request.key.first)].windows);
  // Its own passes go side by side, too; but a pass, and the last one, takes its time.
  const absl::Duration pass = view.cost.Pass(request.key, batch);
  return completion + std::max(pass, pass * request.windows / batch / view.executors);
}

}  // namespace culturetag
