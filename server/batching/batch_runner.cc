#include "batching/batch_runner.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

absl::StatusOr<std::vector<WindowOutput>> RunStaged(TaggingModel& model, absl::StatusOr<std::unique_ptr<StagedBatch>> staged,
                                                    size_t windows, bool hidden_states) {
  CULTURETAG_RETURN_IF_ERROR(staged.status());
  try {
    absl::StatusOr<std::vector<WindowOutput>> outputs = model.Run(**staged, hidden_states);
    if (outputs.ok() && outputs->size() != windows) {
      return absl::InternalError(absl::StrCat("the model gave ", outputs->size(), " outputs for ", windows, " windows"));
    }
    return outputs;
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the model failed: ", error.what()));
  }
}

absl::StatusOr<WindowOutput> Checked(WindowOutput output) {
  if (std::all_of(output.scores.begin(), output.scores.end(), [](float score) { return std::isfinite(score); })) return output;
  return absl::InternalError("the model gave scores that are not numbers");
}

// Appends what `outputs` says of `count` windows.
void Append(absl::StatusOr<std::vector<WindowOutput>> outputs, size_t count,
            std::vector<absl::StatusOr<WindowOutput>>& results) {
  for (size_t i = 0; i < count; ++i) {
    if (outputs.ok()) {
      results.push_back(Checked(std::move((*outputs)[i])));
    } else {
      // Whatever the device's trouble is, it isn't the client's.
      results.emplace_back(absl::InternalError(outputs.status().message()));
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<StagedBatch>> StageGuarded(TaggingModel& model, absl::Span<const absl::Span<const float>> windows) {
  try {
    return model.Stage(windows);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the model failed: ", error.what()));
  }
}

std::vector<absl::StatusOr<WindowOutput>> BatchRunner::Run(TaggingModel& model,
                                                           absl::Span<const absl::Span<const float>> windows,
                                                           absl::StatusOr<std::unique_ptr<StagedBatch>> staged,
                                                           bool hidden_states, int& max_batch_windows) {
  std::vector<absl::StatusOr<WindowOutput>> results;
  results.reserve(windows.size());
  absl::StatusOr<std::vector<WindowOutput>> outputs = RunStaged(model, std::move(staged), windows.size(), hidden_states);
  if (outputs.ok()) {
    Append(std::move(outputs), windows.size(), results);
    NoteHealth(true);
    return results;
  }
  metrics_.RecordDeviceError();
  LogError("a batch failed; trying once more in halves",
           {{"model", model.spec().name}, {"windows", windows.size()}, {"error", outputs.status().ToString()}});
  const size_t half = (windows.size() + 1) / 2;
  if (absl::IsResourceExhausted(outputs.status()) && static_cast<int>(half) < max_batch_windows) {
    max_batch_windows = static_cast<int>(half);
    metrics_.SetMaxBatchWindows(model.spec().name, max_batch_windows);
    LogWarning("the device has no memory for such a batch; the largest is smaller from now on",
               {{"model", model.spec().name}, {"max_batch_windows", max_batch_windows}});
  }
  for (const absl::Span<const absl::Span<const float>> part : {windows.subspan(0, half), windows.subspan(half)}) {
    if (part.empty()) continue;
    Append(RunStaged(model, StageGuarded(model, part), part.size(), hidden_states), part.size(), results);
  }
  NoteHealth(std::any_of(results.begin(), results.end(), [](const auto& result) { return result.ok(); }));
  return results;
}

void BatchRunner::NoteHealth(bool success) {
  failures_ = success ? 0 : failures_ + 1;
  const bool sick = failures_ >= kFailuresUntilSick || (sick_ && !success);
  if (sick == sick_) return;
  sick_ = sick;
  if (sick) {
    LogError("the device fails again and again; not serving until a pass succeeds", {{"failures", failures_}});
  } else {
    LogInfo("the device works again");
  }
  on_health_(!sick);
}

}  // namespace culturetag
