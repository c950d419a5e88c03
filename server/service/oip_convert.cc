#include "service/oip_convert.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error_details.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

constexpr absl::string_view kAudio = "AUDIO";
constexpr absl::string_view kLabels = "LABELS";
constexpr absl::string_view kBytes = "BYTES";
constexpr absl::string_view kFloats = "FP32";
constexpr size_t kLengthBytes = 4;  // before each element of a raw BYTES tensor

uint32_t ReadLittleEndian(absl::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = kLengthBytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void AppendLittleEndian(uint32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

// The one input, if it has the form that a model takes.
absl::StatusOr<const inference::ModelInferRequest::InferInputTensor*> AudioTensor(const inference::ModelInferRequest& request) {
  if (request.inputs_size() != 1 || request.inputs(0).name() != kAudio) {
    return InvalidField("inputs", absl::StrCat("there must be one input, ", kAudio));
  }
  const auto& tensor = request.inputs(0);
  if (tensor.datatype() != kBytes) {
    return InvalidField("inputs[0].datatype", absl::StrCat("the datatype of ", kAudio, " is \"", tensor.datatype(),
                                                           "\"; it must be ", kBytes));
  }
  if (tensor.shape_size() != 1 || tensor.shape(0) < 1 || tensor.shape(0) > kMaxInferFiles) {
    return InvalidField("inputs[0].shape", absl::StrCat("the shape of ", kAudio, " is [", absl::StrJoin(tensor.shape(), ", "),
                                                        "]; it must be [N] with N from 1 to ", kMaxInferFiles));
  }
  return &tensor;
}

absl::Status FillFiles(const inference::ModelInferRequest& request, InferPlan& plan) {
  CULTURETAG_ASSIGN_OR_RETURN(const auto* tensor, AudioTensor(request));
  plan.raw = request.raw_input_contents_size() > 0;
  if (!plan.raw) {
    const auto& contents = tensor->contents().bytes_contents();
    if (contents.size() != tensor->shape(0)) {
      return InvalidField("inputs[0].contents", absl::StrCat(kAudio, " has ", contents.size(),
                                                             " bytes_contents, and its shape says ", tensor->shape(0)));
    }
    plan.files.assign(contents.begin(), contents.end());
  } else if (request.raw_input_contents_size() != 1 || tensor->has_contents()) {
    return InvalidField("raw_input_contents", absl::StrCat("with raw_input_contents there must be one entry, for ", kAudio,
                                                           ", and no contents"));
  } else {
    CULTURETAG_ASSIGN_OR_RETURN(plan.files, SplitRawBytes(request.raw_input_contents(0), tensor->shape(0)));
  }
  const auto empty = std::find(plan.files.begin(), plan.files.end(), "");
  if (empty == plan.files.end()) return absl::OkStatus();
  const std::string field = InferPlan::FieldOfFile(static_cast<size_t>(empty - plan.files.begin()));
  return InvalidField(field, absl::StrCat(field, ": the audio file has no bytes"));
}

absl::Status FillOutputs(const inference::ModelInferRequest& request, const ModelSpec& model, InferPlan& plan) {
  std::vector<std::string> known;
  for (const HeadSpec& head : model.heads) known.push_back(head.name);
  known.emplace_back(kLabels);
  for (const auto& output : request.outputs()) {
    if (std::find(known.begin(), known.end(), output.name()) == known.end()) {
      return absl::NotFoundError(
          absl::StrCat("the model has no output \"", output.name(), "\"; it has ", absl::StrJoin(known, ", ")));
    }
    if (std::find(plan.outputs.begin(), plan.outputs.end(), output.name()) != plan.outputs.end()) {
      return InvalidField("outputs", absl::StrCat("the output \"", output.name(), "\" is asked for twice"));
    }
    plan.outputs.push_back(output.name());
    if (output.name() != kLabels) plan.options.heads.push_back(output.name());
  }
  if (plan.outputs.empty()) plan.outputs = std::move(known);
  return absl::OkStatus();
}

absl::StatusOr<Priority> PriorityOf(const inference::ModelInferRequest& request) {
  const auto found = request.parameters().find("priority");
  if (found == request.parameters().end() || found->second.string_param() == "interactive") return Priority::kInteractive;
  if (found->second.string_param() == "bulk") return Priority::kBulk;
  return InvalidField("parameters[priority]", "priority must be a string_param, \"interactive\" or \"bulk\"");
}

// --- The response ---

using OutputTensor = inference::ModelInferResponse::InferOutputTensor;

OutputTensor& AddOutput(absl::string_view name, absl::string_view datatype, inference::ModelInferResponse& response) {
  OutputTensor& tensor = *response.add_outputs();
  tensor.set_name(std::string(name));
  tensor.set_datatype(std::string(datatype));
  return tensor;
}

// [files, labels] scores of the head that stands at `index` in every result, in the order of its labels.
void AddScores(const HeadSpec& head, size_t index, absl::Span<const TagResult> results, bool raw,
               inference::ModelInferResponse& response) {
  const size_t label_count = head.labels.size();
  std::vector<float> scores(results.size() * label_count);
  for (size_t file = 0; file < results.size(); ++file) {
    for (const ScoredLabel& scored : results[file].heads[index].tags) {
      scores[file * label_count + static_cast<size_t>(scored.label)] = scored.score;
    }
  }
  OutputTensor& tensor = AddOutput(head.name, kFloats, response);
  tensor.add_shape(static_cast<int64_t>(results.size()));
  tensor.add_shape(static_cast<int64_t>(label_count));
  if (!raw) return tensor.mutable_contents()->mutable_fp32_contents()->Add(scores.begin(), scores.end());
  std::string& bytes = *response.add_raw_output_contents();
  bytes.reserve(scores.size() * sizeof(float));
  for (const float score : scores) {
    uint32_t bits = 0;
    static_assert(sizeof(bits) == sizeof(score));
    std::memcpy(&bits, &score, sizeof(bits));
    AppendLittleEndian(bits, bytes);
  }
}

void AddLabels(const ModelSpec& model, absl::Span<const HeadTags> heads, bool raw, inference::ModelInferResponse& response) {
  OutputTensor& tensor = AddOutput(kLabels, kBytes, response);
  std::string* const bytes = raw ? response.add_raw_output_contents() : nullptr;
  int64_t count = 0;
  for (const HeadTags& head : heads) {
    for (const LabelSpec& label : model.heads[static_cast<size_t>(head.head)].labels) {
      ++count;
      if (raw) {
        AppendLittleEndian(static_cast<uint32_t>(label.name.size()), *bytes);
        bytes->append(label.name);
      } else {
        tensor.mutable_contents()->add_bytes_contents(label.name);
      }
    }
  }
  tensor.add_shape(count);
}

void AddMetadata(absl::string_view name, absl::string_view datatype, std::initializer_list<int64_t> shape,
                 inference::ModelMetadataResponse::TensorMetadata& tensor) {
  tensor.set_name(std::string(name));
  tensor.set_datatype(std::string(datatype));
  for (const int64_t dimension : shape) tensor.add_shape(dimension);
}

}  // namespace

std::string InferPlan::FieldOfFile(size_t file) { return absl::StrCat(kAudio, "[", file, "]"); }

absl::StatusOr<InferPlan> PlanInfer(const inference::ModelInferRequest& request, const ModelSpec& model) {
  InferPlan plan;
  CULTURETAG_RETURN_IF_ERROR(FillFiles(request, plan));
  CULTURETAG_RETURN_IF_ERROR(FillOutputs(request, model, plan));
  CULTURETAG_ASSIGN_OR_RETURN(plan.options.priority, PriorityOf(request));
  return plan;
}

absl::StatusOr<std::vector<absl::string_view>> SplitRawBytes(absl::string_view raw, int64_t count) {
  std::vector<absl::string_view> elements;
  for (int64_t i = 0; i < count; ++i) {
    if (raw.size() < kLengthBytes) {
      return InvalidField("raw_input_contents", absl::StrCat("the bytes end before the length of element ", i, " of ", count));
    }
    const uint32_t length = ReadLittleEndian(raw);
    raw.remove_prefix(kLengthBytes);
    if (raw.size() < length) {
      return InvalidField("raw_input_contents", absl::StrCat("element ", i, " of ", count, " is said to have ", length,
                                                             " bytes, and ", raw.size(), " follow"));
    }
    elements.push_back(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  if (!raw.empty()) {
    return InvalidField("raw_input_contents", absl::StrCat(raw.size(), " bytes follow the last of ", count, " elements"));
  }
  return elements;
}

void FillInferResponse(const InferPlan& plan, absl::Span<const TagResult> results, inference::ModelInferResponse& response) {
  const ModelSpec& model = *results.front().model;
  response.set_model_name(model.name);
  response.set_model_version(model.version);
  size_t next_head = 0;  // the results have their heads in the order of `outputs`
  for (const std::string& output : plan.outputs) {
    if (output == kLabels) {
      AddLabels(model, results.front().heads, plan.raw, response);
    } else {
      const auto head = static_cast<size_t>(results.front().heads[next_head].head);
      AddScores(model.heads[head], next_head++, results, plan.raw, response);
    }
  }
}

void FillModelMetadata(const ModelSpec& model, inference::ModelMetadataResponse& response) {
  response.set_name(model.name);
  response.add_versions(model.version);
  response.set_platform("culturetag_bundle");
  AddMetadata(kAudio, kBytes, {-1}, *response.add_inputs());
  for (const HeadSpec& head : model.heads) {
    AddMetadata(head.name, kFloats, {-1, static_cast<int64_t>(head.labels.size())}, *response.add_outputs());
  }
  AddMetadata(kLabels, kBytes, {-1}, *response.add_outputs());
  auto& properties = *response.mutable_properties();
  properties["backbone"] = model.backbone;
  properties["license"] = model.license;
  properties["description"] = model.description;
}

}  // namespace culturetag
