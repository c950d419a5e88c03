#include "audio/resampler.h"

#include <soxr.h>

#include <cmath>

#include "absl/strings/str_cat.h"

namespace culturetag {
namespace {

class PassThrough final : public Resampler {
 public:
  absl::Status Process(absl::Span<const float> input, std::vector<float>& output) override {
    output.insert(output.end(), input.begin(), input.end());
    return absl::OkStatus();
  }

  absl::Status Finish(std::vector<float>&) override { return absl::OkStatus(); }
};

absl::Status SoxrFailure(soxr_error_t error) { return absl::InternalError(absl::StrCat("resampling failed: ", error)); }

class SoxrResampler final : public Resampler {
 public:
  // Takes over `converter`. `ratio` is the output's rate over the input's.
  SoxrResampler(soxr_t converter, double ratio) : converter_(converter), ratio_(ratio) {}
  ~SoxrResampler() override { soxr_delete(converter_); }
  SoxrResampler(const SoxrResampler&) = delete;
  SoxrResampler& operator=(const SoxrResampler&) = delete;

  absl::Status Process(absl::Span<const float> input, std::vector<float>& output) override {
    while (!input.empty()) {
      size_t taken = 0;
      if (absl::Status status = Convert(input.data(), input.size(), taken, output); !status.ok()) return status;
      input.remove_prefix(taken);
    }
    return absl::OkStatus();
  }

  // soxr holds back half a filter length; a null input makes it emit that, over as many calls as it takes.
  absl::Status Finish(std::vector<float>& output) override {
    size_t before = 0;
    do {
      before = output.size();
      size_t taken = 0;
      if (absl::Status status = Convert(nullptr, 0, taken, output); !status.ok()) return status;
    } while (output.size() > before);
    return absl::OkStatus();
  }

 private:
  // One call of soxr's: room for what `count` samples become, and for some that were held back.
  absl::Status Convert(const float* input, size_t count, size_t& taken, std::vector<float>& output) {
    constexpr size_t kSpareRoom = 1024;
    const size_t room = static_cast<size_t>(std::ceil(static_cast<double>(count) * ratio_)) + kSpareRoom;
    const size_t before = output.size();
    output.resize(before + room);
    size_t made = 0;
    const soxr_error_t error = soxr_process(converter_, input, count, &taken, output.data() + before, room, &made);
    output.resize(before + made);
    if (error != nullptr) return SoxrFailure(error);
    return absl::OkStatus();
  }

  const soxr_t converter_;
  const double ratio_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Resampler>> Resampler::Create(int input_rate_hz, int output_rate_hz) {
  if (input_rate_hz <= 0 || output_rate_hz <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("sample rates must be positive, not ", input_rate_hz, " and ", output_rate_hz, " Hz"));
  }
  if (input_rate_hz == output_rate_hz) return std::make_unique<PassThrough>();

  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);  // The server's threads are its decode pool.
  soxr_error_t error = nullptr;
  const soxr_t converter = soxr_create(input_rate_hz, output_rate_hz, 1, &error, &io, &quality, &runtime);
  if (error != nullptr) {
    soxr_delete(converter);
    return SoxrFailure(error);
  }
  return std::make_unique<SoxrResampler>(converter, static_cast<double>(output_rate_hz) / input_rate_hz);
}

}  // namespace culturetag
