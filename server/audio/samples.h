// The loops over every sample of a track, so plain that compilers make vector code of them.
#ifndef CULTURETAG_AUDIO_SAMPLES_H_
#define CULTURETAG_AUDIO_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"

namespace culturetag {

// Fills `mono` with the mean of each frame's channels. `sample_at(i)` is the i-th of the interleaved samples, a float. Loud
// channels don't overflow on the way.
template <typename SampleAt>
void AverageChannels(size_t channel_count, absl::Span<float> mono, SampleAt sample_at) {
  switch (channel_count) {
    case 1:
      for (size_t frame = 0; frame < mono.size(); ++frame) mono[frame] = sample_at(frame);
      return;
    case 2:
      for (size_t frame = 0; frame < mono.size(); ++frame) {
        mono[frame] = 0.5F * sample_at(2 * frame) + 0.5F * sample_at(2 * frame + 1);
      }
      return;
    default:
      for (size_t frame = 0; frame < mono.size(); ++frame) {
        double sum = 0;
        for (size_t channel = 0; channel < channel_count; ++channel) sum += sample_at(frame * channel_count + channel);
        mono[frame] = static_cast<float>(sum / static_cast<double>(channel_count));
      }
  }
}

// Whether no sample is NaN or infinite: these, and only these, have all bits of the exponent set.
inline bool AllFinite(absl::Span<const float> samples) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t found = 0;
  for (const float sample : samples) {
    uint32_t bits = 0;
    std::memcpy(&bits, &sample, sizeof(bits));
    found |= static_cast<uint32_t>((bits & kExponent) == kExponent);
  }
  return found == 0;
}

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_SAMPLES_H_
