#include "inference/torch_model.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>
#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// As transformers' feature extractor has it, so that normalised windows equal those of training.
constexpr double kNormalizeEpsilon = 1e-7;

// Copies `samples` to `row`, scaled to zero mean and unit variance if the model asks for it.
void FillRow(absl::Span<const float> samples, bool normalize, float* row) {
  if (!normalize) {
    std::copy(samples.begin(), samples.end(), row);
    return;
  }
  double sum = 0;
  for (const float sample : samples) sum += sample;
  const double mean = sum / static_cast<double>(samples.size());
  double squares = 0;
  for (const float sample : samples) squares += (sample - mean) * (sample - mean);
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(samples.size()) + kNormalizeEpsilon);
  for (size_t i = 0; i < samples.size(); ++i) row[i] = static_cast<float>((samples[i] - mean) * scale);
}

absl::Status CheckShape(absl::string_view what, const at::Tensor& tensor, const std::vector<int64_t>& expected) {
  if (tensor.sizes() == at::IntArrayRef(expected)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " gives [", absl::StrJoin(tensor.sizes(), ", "),
                                                 "], the manifest says [", absl::StrJoin(expected, ", "), "]"));
}

struct TorchBatch final : StagedBatch {
  explicit TorchBatch(at::Tensor input_in) : input(std::move(input_in)) {}
  const at::Tensor input;  // [B, T] on the device
};

class TorchModel final : public TaggingModel {
 public:
  TorchModel(const ModelSpec& spec, std::string device, torch::jit::Module backbone, std::vector<torch::jit::Module> heads)
      : spec_(spec), device_(std::move(device)), backbone_(std::move(backbone)), heads_(std::move(heads)) {}

  const ModelSpec& spec() const override { return spec_; }
  std::string device() const override { return device_; }
  std::string precision() const override { return "fp32"; }

  absl::StatusOr<std::unique_ptr<StagedBatch>> Stage(absl::Span<const absl::Span<const float>> windows) override {
    return Guarded<std::unique_ptr<StagedBatch>>(windows.size(), [&] {
      const c10::InferenceMode inference_mode;
      return std::make_unique<TorchBatch>(Assemble(windows));
    });
  }

  absl::StatusOr<std::vector<WindowOutput>> Run(const StagedBatch& batch, bool hidden_states) override {
    const at::Tensor& input = static_cast<const TorchBatch&>(batch).input;
    return Guarded<std::vector<WindowOutput>>(static_cast<size_t>(input.size(0)), [&] {
      const c10::InferenceMode inference_mode;
      const at::Tensor hidden = backbone_.forward({input}).toTensor();
      std::vector<at::Tensor> logits;
      for (torch::jit::Module& head : heads_) logits.push_back(head.forward({hidden}).toTensor());
      std::vector<WindowOutput> outputs(static_cast<size_t>(input.size(0)));
      CopyRows(at::cat(logits, 1).sigmoid(), outputs, &WindowOutput::scores);
      if (hidden_states) CopyRows(hidden.flatten(1), outputs, &WindowOutput::hidden_states);
      return outputs;
    });
  }

  // Runs everything once on a short clip and compares the shapes with the manifest's.
  absl::Status CheckShapes() {
    const c10::InferenceMode inference_mode;
    constexpr int64_t kBatch = 2;
    const at::Tensor clip = at::zeros({kBatch, spec_.min_clip_samples}, at::device(c10::Device(device_)));
    const at::Tensor hidden = backbone_.forward({clip}).toTensor();
    CULTURETAG_RETURN_IF_ERROR(CheckShape("backbone.ts", hidden, {kBatch, spec_.layer_count, spec_.hidden_size}));
    for (size_t i = 0; i < heads_.size(); ++i) {
      const HeadSpec& head = spec_.heads[i];
      const at::Tensor logits = heads_[i].forward({hidden}).toTensor();
      CULTURETAG_RETURN_IF_ERROR(CheckShape(head.file, logits, {kBatch, static_cast<int64_t>(head.labels.size())}));
    }
    return absl::OkStatus();
  }

 private:
  // [B, T] on the device.
  at::Tensor Assemble(absl::Span<const absl::Span<const float>> windows) const {
    const auto batch = static_cast<int64_t>(windows.size());
    const auto length = static_cast<int64_t>(windows.front().size());
    at::Tensor input = at::empty({batch, length}, at::kFloat);
    for (int64_t i = 0; i < batch; ++i) {
      FillRow(windows[static_cast<size_t>(i)], spec_.normalize, input.mutable_data_ptr<float>() + i * length);
    }
    return input.to(c10::Device(device_));
  }

  // Copies row i of `rows`, [B, N], to `field` of output i.
  static void CopyRows(const at::Tensor& rows, std::vector<WindowOutput>& outputs, std::vector<float> WindowOutput::*field) {
    const at::Tensor host = rows.to(at::kCPU, at::kFloat).contiguous();
    const float* row = host.const_data_ptr<float>();
    for (WindowOutput& output : outputs) {
      (output.*field).assign(row, row + host.size(1));
      row += host.size(1);
    }
  }

  // What `work` returns, or its exception as a status.
  template <typename T, typename Work>
  absl::StatusOr<T> Guarded(size_t windows, Work work) const {
    try {
      return work();
    } catch (const c10::OutOfMemoryError& error) {
      return absl::ResourceExhaustedError(absl::StrCat(device_, " has no memory for ", windows, " windows: ",
                                                       error.what_without_backtrace()));
    } catch (const c10::Error& error) {
      return absl::InternalError(absl::StrCat(device_, " failed: ", error.what_without_backtrace()));
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat(device_, " failed: ", error.what()));
    }
  }

  const ModelSpec spec_;
  const std::string device_;
  torch::jit::Module backbone_;
  std::vector<torch::jit::Module> heads_;
};

absl::StatusOr<torch::jit::Module> LoadModule(const std::string& folder, const std::string& file, const std::string& device) {
  try {
    torch::jit::Module module = torch::jit::load(folder + "/" + file, c10::Device(device));
    module.eval();
    return module;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, " is no TorchScript module that this server can load: ", error.what()));
  }
}

absl::StatusOr<std::unique_ptr<TaggingModel>> Load(const std::string& folder, const ModelSpec& spec, const std::string& device) {
  // Clips of fewer than 5 s come in every length, and the profiling executor specialises, slowly, for each new shape.
  torch::jit::getProfilingMode() = false;
  CULTURETAG_ASSIGN_OR_RETURN(torch::jit::Module backbone, LoadModule(folder, "backbone.ts", device));
  std::vector<torch::jit::Module> heads;
  for (const HeadSpec& head : spec.heads) {
    CULTURETAG_ASSIGN_OR_RETURN(torch::jit::Module module, LoadModule(folder, head.file, device));
    heads.push_back(std::move(module));
  }
  auto model = std::make_unique<TorchModel>(spec, device, std::move(backbone), std::move(heads));
  try {
    CULTURETAG_RETURN_IF_ERROR(model->CheckShapes());
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("the model fails on a short clip: ", error.what()));
  }
  return model;
}

}  // namespace

absl::StatusOr<std::string> ResolveDevice(absl::string_view device) {
  if (device == "cpu") return std::string("cpu");
  const bool any = device == "auto";
  int index = 0;
  if (!any && device != "cuda" && !(absl::StartsWith(device, "cuda:") && absl::SimpleAtoi(device.substr(5), &index) && index >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat("no such device: '", device, "'; it may be auto, cpu, cuda or cuda:N"));
  }
  // Registers CUDA with torch. The handle is kept for the life of the process.
  const bool loaded = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  const int count = loaded ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (index < count) return absl::StrCat("cuda:", index);
  if (any) return std::string("cpu");
  return absl::FailedPreconditionError(absl::StrCat(
      "the device ", device, " is not there: ",
      loaded ? absl::StrCat("the driver sees ", count, " GPUs") : absl::StrCat("libtorch_cuda.so can't be loaded: ", dlerror())));
}

void SetComputeThreads(int threads) { at::set_num_threads(threads); }

absl::StatusOr<std::unique_ptr<TaggingModel>> LoadTorchModel(const std::string& folder, const ModelSpec& spec,
                                                             const std::string& device) {
  absl::StatusOr<std::unique_ptr<TaggingModel>> model = Load(folder, spec, device);
  if (model.ok()) return model;
  return absl::Status(model.status().code(), absl::StrCat("bundle ", folder, ": ", model.status().message()));
}

}  // namespace culturetag
