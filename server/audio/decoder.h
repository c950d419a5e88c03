// Bytes to mono samples: the first step of a request.
//
// A Decoder reads its source block by block, so that a long track never stands in memory as floats. Whatever the bytes are,
// a decoder neither crashes nor reads outside them; what can't be decoded is an INVALID_ARGUMENT whose message says what is
// wrong and what would be right.
//
// Thread-compatible: one thread at a time. The bytes that a decoder was opened on must outlive it; they are not copied.
#ifndef CULTURETAG_AUDIO_DECODER_H_
#define CULTURETAG_AUDIO_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "audio/byte_source.h"
#include "audio/spool_file.h"

namespace culturetag {

// What is accepted of any source.
inline constexpr int kMinSampleRateHz = 4000;
inline constexpr int kMaxSampleRateHz = 384000;
inline constexpr int kMaxChannelCount = 32;

// What a source says of itself.
struct SourceInfo {
  int sample_rate_hz = 0;
  int channel_count = 0;
  // Container and encoding: "WAV/PCM_16", "FLAC/PCM_24", "OGG/VORBIS", "MP3", "PCM/F32LE".
  std::string format;
  // How many frames there are, if the source says so; else 0.
  int64_t frame_count = 0;
};

class Decoder {
 public:
  virtual ~Decoder() = default;

  virtual const SourceInfo& info() const = 0;

  // Fills the front of `mono` with the next samples, each the mean of a frame's channels, and returns how many; 0 only at
  // the end. INVALID_ARGUMENT for bytes that can't be decoded, a source that ends before its own header says, and NaN or
  // infinite samples; after an error the decoder is of no more use. `mono` must not be empty.
  virtual absl::StatusOr<size_t> Read(absl::Span<float> mono) = 0;
};

// Opens an audio file of any kind that libsndfile recognises by its content. INVALID_ARGUMENT if it recognises none, if
// rate or channels are out of range, or if the header contradicts the bytes. That a file was cut is told of WAV, RF64, W64,
// AIFF, CAF, AU, SVX, SDS, FLAC, Ogg and MPEG files; of what is rarer, libsndfile decodes what is there.
absl::StatusOr<std::unique_ptr<Decoder>> OpenEncoded(absl::string_view bytes);

// Opens an audio file whose bytes are still coming: as OpenEncoded, with the same samples. What can be decoded in order (FLAC,
// MPEG and the RIFF, AIFF, W64 and CAF families with their headers in front) is decoded as it comes, in bounded memory;
// what can't (Ogg, for one) is written to a temporary file first, which `spool` bounds. Headers may take 32 MiB, and tags
// between or behind the frames of an MPEG file 8 MiB. Reads block until bytes come, and
// return the error of `source` if it has one. `source` must outlive the decoder.
absl::StatusOr<std::unique_ptr<Decoder>> OpenEncodedStream(ByteSource& source, const SpoolOptions& spool);

enum class PcmEncoding { kS16Le, kF32Le };

struct PcmFormat {
  PcmEncoding encoding = PcmEncoding::kS16Le;
  int sample_rate_hz = 0;  // kMinSampleRateHz to kMaxSampleRateHz
  int channel_count = 0;   // 1 to kMaxChannelCount
};

// Opens interleaved samples. InvalidField("sample_rate_hz" | "channel_count" | "samples") if the description is out of range
// or the samples are empty or no whole number of frames.
absl::StatusOr<std::unique_ptr<Decoder>> OpenPcm(const PcmFormat& format, absl::string_view samples);

// Opens samples that are still coming, as OpenPcm; each Read returns what is there. An empty stream ends at once.
absl::StatusOr<std::unique_ptr<Decoder>> OpenPcmStream(const PcmFormat& format, ByteSource& source);

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_DECODER_H_
