#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "audio/decoder.h"
#include "audio/samples.h"
#include "base/error_details.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

size_t BytesPerSample(PcmEncoding encoding) { return encoding == PcmEncoding::kS16Le ? 2 : 4; }

// The i-th sample behind `bytes`, which need not be aligned, on any machine's byte order. Compilers know these shifts for loads.
float S16At(const char* bytes, size_t i) {
  const auto byte = [bytes, i](size_t k) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[2 * i + k])); };
  return static_cast<float>(static_cast<int16_t>(byte(0) | byte(1) << 8)) * (1 / 32768.0F);
}

float F32At(const char* bytes, size_t i) {
  const auto byte = [bytes, i](size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[4 * i + k])); };
  const uint32_t bits = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
  float sample = 0;
  std::memcpy(&sample, &bits, sizeof(sample));
  return sample;
}

// Frames a read of the source: as many as are there, so that live audio isn't held back, but no more than fit the cache.
constexpr size_t kBlockBytes = 1 << 16;

class PcmDecoder final : public Decoder {
 public:
  // Reads from `source`, which `owned` keeps alive if it isn't the caller's.
  PcmDecoder(const PcmFormat& format, ByteSource& source, int64_t frame_count, std::unique_ptr<ByteSource> owned)
      : info_{format.sample_rate_hz, format.channel_count,
              format.encoding == PcmEncoding::kS16Le ? "PCM/S16LE" : "PCM/F32LE", frame_count},
        encoding_(format.encoding),
        owned_(std::move(owned)),
        source_(source),
        block_(kBlockBytes) {}

  const SourceInfo& info() const override { return info_; }

  absl::StatusOr<size_t> Read(absl::Span<float> mono) override {
    const auto channels = static_cast<size_t>(info_.channel_count);
    const size_t frame_bytes = BytesPerSample(encoding_) * channels;
    CULTURETAG_RETURN_IF_ERROR(FillBlock(frame_bytes));
    const size_t frame_count = std::min(mono.size(), (end_ - start_) / frame_bytes);
    mono = mono.subspan(0, frame_count);
    const char* const next = block_.data() + start_;
    if (encoding_ == PcmEncoding::kS16Le) {
      AverageChannels(channels, mono, [next](size_t i) { return S16At(next, i); });
    } else {
      AverageChannels(channels, mono, [next](size_t i) { return F32At(next, i); });
    }
    if (!AllFinite(mono)) return InvalidField("samples", "the audio contains samples that are not a number or infinite");
    start_ += frame_count * frame_bytes;
    return frame_count;
  }

 private:
  // Reads on until the block holds a whole frame, or nothing at the end.
  absl::Status FillBlock(size_t frame_bytes) {
    while (end_ - start_ < frame_bytes) {
      std::copy(block_.begin() + static_cast<std::ptrdiff_t>(start_), block_.begin() + static_cast<std::ptrdiff_t>(end_), block_.begin());
      end_ -= start_;
      start_ = 0;
      CULTURETAG_ASSIGN_OR_RETURN(const size_t read, source_.Read(absl::MakeSpan(block_).subspan(end_)));
      end_ += read;
      if (read > 0) continue;
      if (end_ == 0) return absl::OkStatus();
      return InvalidField("samples", absl::StrFormat("the last %d bytes are no whole frame of %d bytes", end_, frame_bytes));
    }
    return absl::OkStatus();
  }

  const SourceInfo info_;
  const PcmEncoding encoding_;
  const std::unique_ptr<ByteSource> owned_;
  ByteSource& source_;
  std::vector<char> block_;
  size_t start_ = 0;  // of what hasn't been decoded
  size_t end_ = 0;
};

absl::Status CheckFormat(const PcmFormat& format) {
  if (format.sample_rate_hz < kMinSampleRateHz || format.sample_rate_hz > kMaxSampleRateHz) {
    return InvalidField("sample_rate_hz", absl::StrFormat("the sample rate is %d Hz; it may be %d to %d",
                                                          format.sample_rate_hz, kMinSampleRateHz, kMaxSampleRateHz));
  }
  if (format.channel_count < 1 || format.channel_count > kMaxChannelCount) {
    return InvalidField("channel_count", absl::StrFormat("there are %d channels; there may be 1 to %d", format.channel_count,
                                                         kMaxChannelCount));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Decoder>> OpenPcm(const PcmFormat& format, absl::string_view samples) {
  CULTURETAG_RETURN_IF_ERROR(CheckFormat(format));
  if (samples.empty()) return InvalidField("samples", "there are no samples");
  const size_t frame_bytes = BytesPerSample(format.encoding) * static_cast<size_t>(format.channel_count);
  if (samples.size() % frame_bytes != 0) {
    return InvalidField("samples", absl::StrFormat("%d bytes are no whole number of frames of %d bytes", samples.size(),
                                                   frame_bytes));
  }
  auto source = std::make_unique<MemorySource>(samples);
  ByteSource& borrowed = *source;
  const auto frame_count = static_cast<int64_t>(samples.size() / frame_bytes);
  return std::make_unique<PcmDecoder>(format, borrowed, frame_count, std::move(source));
}

absl::StatusOr<std::unique_ptr<Decoder>> OpenPcmStream(const PcmFormat& format, ByteSource& source) {
  CULTURETAG_RETURN_IF_ERROR(CheckFormat(format));
  return std::make_unique<PcmDecoder>(format, source, 0, nullptr);
}

}  // namespace culturetag
