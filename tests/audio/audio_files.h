// Audio files in memory, for tests: sines in every format that libsndfile writes.
#ifndef CULTURETAG_TESTS_AUDIO_AUDIO_FILES_H_
#define CULTURETAG_TESTS_AUDIO_AUDIO_FILES_H_

#include <sndfile.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "audio/decoder.h"

namespace culturetag {

struct AudioFileSpec {
  int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  int sample_rate_hz = 44100;
  int channel_count = 1;
  int frame_count = 8820;
};

// "format 10002, 2 channels, 44100 Hz", to find a failure by.
std::string Describe(const AudioFileSpec& spec);

// What the channels of such a file have for their mean: a sine of 440 Hz and amplitude 0.5.
std::vector<float> SineMean(const AudioFileSpec& spec);

// The file: in channel c of C, the sine above times 2 (c + 1) / (C + 1).
std::string EncodeSine(const AudioFileSpec& spec);

// A file of the given interleaved samples.
std::string Encode(const AudioFileSpec& spec, const std::vector<float>& interleaved);

// Whether libsndfile writes this combination.
bool IsWritable(const AudioFileSpec& spec);

// Every format that libsndfile writes with `channel_count` channels and that can be told by its content, each at a rate
// that it has: all but RAW and SD2, and but for AIFF/DWVW_12, of which libsndfile 1.2 writes no frames.
std::vector<AudioFileSpec> WritableSpecs(int channel_count);

// `bytes` with `replacement` at `offset`.
std::string Patched(std::string bytes, size_t offset, absl::string_view replacement);

// All samples of `bytes`, read in odd pieces.
absl::StatusOr<std::vector<float>> DecodeAll(absl::string_view bytes);
absl::StatusOr<std::vector<float>> ReadAll(Decoder& decoder);

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_AUDIO_AUDIO_FILES_H_
