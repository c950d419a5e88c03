#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_format.h"
#include "audio/decoder.h"
#include "base/error_details.h"

namespace culturetag {
namespace {

size_t BytesPerSample(PcmEncoding encoding) { return encoding == PcmEncoding::kS16Le ? 2 : 4; }

// The sample at `bytes`, which need not be aligned, on any machine's byte order.
float ReadSample(PcmEncoding encoding, const char* bytes) {
  uint32_t bits = 0;
  for (size_t i = BytesPerSample(encoding); i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
  if (encoding == PcmEncoding::kS16Le) return static_cast<float>(static_cast<int16_t>(bits)) / 32768.0F;
  float sample = 0;
  std::memcpy(&sample, &bits, sizeof(sample));
  return sample;
}

class PcmDecoder final : public Decoder {
 public:
  PcmDecoder(const PcmFormat& format, absl::string_view samples)
      : info_{format.sample_rate_hz, format.channel_count,
              format.encoding == PcmEncoding::kS16Le ? "PCM/S16LE" : "PCM/F32LE"},
        encoding_(format.encoding),
        rest_(samples) {}

  const SourceInfo& info() const override { return info_; }

  absl::StatusOr<size_t> Read(absl::Span<float> mono) override {
    const size_t sample_bytes = BytesPerSample(encoding_);
    const size_t channels = static_cast<size_t>(info_.channel_count);
    const size_t frame_bytes = sample_bytes * channels;
    const size_t frame_count = std::min(mono.size(), rest_.size() / frame_bytes);
    const char* next = rest_.data();
    for (size_t frame = 0; frame < frame_count; ++frame) {
      double sum = 0;  // so that loud channels don't overflow
      for (size_t channel = 0; channel < channels; ++channel, next += sample_bytes) sum += ReadSample(encoding_, next);
      mono[frame] = static_cast<float>(sum / static_cast<double>(channels));
      if (!std::isfinite(mono[frame])) {
        return InvalidField("samples", "the audio contains samples that are not a number or infinite");
      }
    }
    rest_.remove_prefix(frame_count * frame_bytes);
    return frame_count;
  }

 private:
  const SourceInfo info_;
  const PcmEncoding encoding_;
  absl::string_view rest_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Decoder>> OpenPcm(const PcmFormat& format, absl::string_view samples) {
  if (format.sample_rate_hz < kMinSampleRateHz || format.sample_rate_hz > kMaxSampleRateHz) {
    return InvalidField("sample_rate_hz", absl::StrFormat("the sample rate is %d Hz; it may be %d to %d",
                                                          format.sample_rate_hz, kMinSampleRateHz, kMaxSampleRateHz));
  }
  if (format.channel_count < 1 || format.channel_count > kMaxChannelCount) {
    return InvalidField("channel_count", absl::StrFormat("there are %d channels; there may be 1 to %d", format.channel_count,
                                                         kMaxChannelCount));
  }
  if (samples.empty()) return InvalidField("samples", "there are no samples");
  const size_t frame_bytes = BytesPerSample(format.encoding) * static_cast<size_t>(format.channel_count);
  if (samples.size() % frame_bytes != 0) {
    return InvalidField("samples", absl::StrFormat("%d bytes are no whole number of frames of %d bytes", samples.size(),
                                                   frame_bytes));
  }
  return std::make_unique<PcmDecoder>(format, samples);
}

}  // namespace culturetag
