// Runs one batch on the device and makes the best of its failures.
//
// An exception is an error like any other. A batch that fails is tried once more in halves, so that one bad window or a full
// memory costs as few requests as can be. Scores that are not numbers fail their window alone. Where the device has no memory
// for a batch, half of it is the largest from then on. After kFailuresUntilSick batches in a row without a single success
// the device counts as sick; the first success makes it well.
//
// Thread-compatible: one executor's.
#ifndef CULTURETAG_BATCHING_BATCH_RUNNER_H_
#define CULTURETAG_BATCHING_BATCH_RUNNER_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "inference/tagging_model.h"
#include "observability/metrics.h"

namespace culturetag {

// TaggingModel::Stage, with an exception as an error.
absl::StatusOr<std::unique_ptr<StagedBatch>> StageGuarded(TaggingModel& model, absl::Span<const absl::Span<const float>> windows);

class BatchRunner {
 public:
  static constexpr int kFailuresUntilSick = 3;

  // `on_health` is called, on the thread that runs, when the device falls sick (false) and when it is well again (true).
  BatchRunner(Metrics& metrics, std::function<void(bool)> on_health) : metrics_(metrics), on_health_(std::move(on_health)) {}

  // One result for each of `windows`, in their order. `staged` is what `model` made of them; an error counts as a pass that
  // failed. `max_batch_windows` is lowered if the device has no memory for this many.
  std::vector<absl::StatusOr<WindowOutput>> Run(TaggingModel& model, absl::Span<const absl::Span<const float>> windows,
                                                absl::StatusOr<std::unique_ptr<StagedBatch>> staged, bool hidden_states,
                                                int& max_batch_windows);

  bool sick() const { return sick_; }

 private:
  void NoteHealth(bool success);

  Metrics& metrics_;
  const std::function<void(bool)> on_health_;
  int failures_ = 0;  // batches in a row
  bool sick_ = false;
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_BATCH_RUNNER_H_
