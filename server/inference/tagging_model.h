// A model that scores windows: the seam between the queue and whatever runs the weights (TorchScript today; see
// DESIGN.md 4c.9 for why it is hidden).
//
// Run may be called from any one thread at a time. TorchScript specialises a model on the thread and shape of its first
// calls, so that a model should be warmed, and then always be run, on one thread. Stage may be called from another thread,
// one at a time, also while Run runs: so the next batch is put together while the present one is computed.
#ifndef CULTURETAG_INFERENCE_TAGGING_MODEL_H_
#define CULTURETAG_INFERENCE_TAGGING_MODEL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "inference/model_spec.h"

namespace culturetag {

// What a model makes of one window.
struct WindowOutput {
  // The sigmoid outputs of all heads in the manifest's order, one after the other: ModelSpec::label_count() values in [0, 1].
  std::vector<float> scores;
  // If asked for: the time-mean of every hidden state, [layer_count, hidden_size], row-major.
  std::vector<float> hidden_states;
};

// Windows that a model has put where its device reads them.
class StagedBatch {
 public:
  virtual ~StagedBatch() = default;
};

class TaggingModel {
 public:
  virtual ~TaggingModel() = default;

  virtual const ModelSpec& spec() const = 0;
  // "cpu", "cuda:0".
  virtual std::string device() const = 0;
  // "fp32", "bf16", "fp16".
  virtual std::string precision() const = 0;

  // Puts `windows`, at least one and all of the same length of at least spec().min_clip_samples, together for one pass.
  // They needn't outlive the call. The batch must not outlive the model. Errors are those of Run.
  virtual absl::StatusOr<std::unique_ptr<StagedBatch>> Stage(absl::Span<const absl::Span<const float>> windows) = 0;

  // Scores what Stage put together, in one pass, and returns an output for each window, with its hidden states if
  // `hidden_states` is set. A window's output doesn't depend on what it shares the pass with. RESOURCE_EXHAUSTED if the
  // device has no memory for a pass of this size; INTERNAL for any other failure of the device.
  virtual absl::StatusOr<std::vector<WindowOutput>> Run(const StagedBatch& batch, bool hidden_states) = 0;
};

}  // namespace culturetag

#endif  // CULTURETAG_INFERENCE_TAGGING_MODEL_H_
