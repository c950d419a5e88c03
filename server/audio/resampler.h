// Sample-rate conversion by soxr's HQ recipe, in blocks.
//
// The output doesn't depend on how the input was cut into blocks. Thread-compatible.
#ifndef CULTURETAG_AUDIO_RESAMPLER_H_
#define CULTURETAG_AUDIO_RESAMPLER_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace culturetag {

class Resampler {
 public:
  // A converter of mono audio from `input_rate_hz` to `output_rate_hz`, both positive. Equal rates pass through.
  static absl::StatusOr<std::unique_ptr<Resampler>> Create(int input_rate_hz, int output_rate_hz);

  virtual ~Resampler() = default;

  // Converts `input` and appends what is ready to `output`. Some samples stay inside until more input or Finish.
  virtual absl::Status Process(absl::Span<const float> input, std::vector<float>& output) = 0;

  // Appends the rest. Call it once, at the end of the audio.
  virtual absl::Status Finish(std::vector<float>& output) = 0;
};

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_RESAMPLER_H_
