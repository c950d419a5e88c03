// A TaggingModel that runs a bundle's TorchScript files with LibTorch.
//
// Nothing of torch shows in this header: its include path shadows the system's protobuf (DESIGN.md, section 6).
#ifndef CULTURETAG_INFERENCE_TORCH_MODEL_H_
#define CULTURETAG_INFERENCE_TORCH_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "inference/tagging_model.h"

namespace culturetag {

// Turns "auto", "cpu", "cuda" or "cuda:N" into "cpu" or "cuda:N". "auto" is the first GPU, or the CPU without one. Loads
// libtorch_cuda.so where a GPU is asked for, so that one binary serves both. INVALID_ARGUMENT for any other name;
// FAILED_PRECONDITION for a GPU that isn't there.
absl::StatusOr<std::string> ResolveDevice(absl::string_view device);

// How many threads one pass may use on a CPU. Process-wide: call it once, before the first model is loaded.
void SetComputeThreads(int threads);

// Loads the model `spec` from `folder`, which ReadBundle has checked, onto `device`, as ResolveDevice returns it, and runs it
// once. INVALID_ARGUMENT if a file is no TorchScript module or gives another shape than the manifest says, naming both.
absl::StatusOr<std::unique_ptr<TaggingModel>> LoadTorchModel(const std::string& folder, const ModelSpec& spec,
                                                             const std::string& device);

}  // namespace culturetag

#endif  // CULTURETAG_INFERENCE_TORCH_MODEL_H_
