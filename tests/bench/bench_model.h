// What a benchmark needs of a bundle's manifest, read without protobuf, so that it builds where only LibTorch is.
#ifndef CULTURETAG_TESTS_BENCH_BENCH_MODEL_H_
#define CULTURETAG_TESTS_BENCH_BENCH_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "inference/model_spec.h"

namespace culturetag {

// The name, the window, the shapes and the heads' files and labels of the bundle in `folder`, which is trusted: no digest is
// checked. INVALID_ARGUMENT for a manifest that can't be read or lacks one of these.
absl::StatusOr<ModelSpec> ReadBenchSpec(const std::string& folder);

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_BENCH_BENCH_MODEL_H_
