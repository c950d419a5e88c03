// Between the Open Inference Protocol's tensors and the server's own types; proto/inference/open_inference.proto says what
// stands in them. Pure functions; thread-safe.
#ifndef CULTURETAG_SERVICE_OIP_CONVERT_H_
#define CULTURETAG_SERVICE_OIP_CONVERT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "inference/model_spec.h"
#include "inference/open_inference.pb.h"
#include "service/tagger.h"

namespace culturetag {

// The most files that one request may have.
constexpr int64_t kMaxInferFiles = 128;

// What a request asks for.
struct InferPlan {
  TagRequest options;                    // of every file's call; without audio
  std::vector<absl::string_view> files;  // views of the request
  std::vector<std::string> outputs;      // the tensors of the response, in their order
  bool raw = false;                      // whether tensors travel as bytes

  // "AUDIO[3]": what an error blames.
  static std::string FieldOfFile(size_t file);
};

// The plan, without model, client and deadline; `request` must outlive it. InvalidField for what contradicts the protocol
// or has no bytes, NOT_FOUND for an output that `model` lacks.
absl::StatusOr<InferPlan> PlanInfer(const inference::ModelInferRequest& request, const ModelSpec& model);

// The `count` elements of a BYTES tensor in the raw form, in which each stands behind its length as a little-endian 32-bit
// number: views of `raw`. InvalidField("raw_input_contents") unless they fill it exactly.
absl::StatusOr<std::vector<absl::string_view>> SplitRawBytes(absl::string_view raw, int64_t count);

// Fills an empty `response` from the results of the plan's files, one or more, in their order and of one model.
void FillInferResponse(const InferPlan& plan, absl::Span<const TagResult> results, inference::ModelInferResponse& response);

// Fills an empty `response`.
void FillModelMetadata(const ModelSpec& model, inference::ModelMetadataResponse& response);

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_OIP_CONVERT_H_
