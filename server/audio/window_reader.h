// From a decoder to the model's windows, block by block: mono samples -> the model's rate -> windows.
//
// A track of any length passes through in a few blocks of memory. Thread-compatible.
#ifndef CULTURETAG_AUDIO_WINDOW_READER_H_
#define CULTURETAG_AUDIO_WINDOW_READER_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "audio/decoder.h"
#include "audio/resampler.h"
#include "audio/windower.h"
#include "base/clock.h"

namespace culturetag {

class WindowReader {
 public:
  struct Options {
    int sample_rate_hz = 0;  // of the windows
    WindowShape shape;
    absl::Duration max_duration = absl::InfiniteDuration();  // of the audio
  };

  // INVALID_ARGUMENT if the source's own header promises more than `max_duration`. `clock` must outlive the reader.
  static absl::StatusOr<std::unique_ptr<WindowReader>> Create(const Options& options, std::unique_ptr<Decoder> decoder,
                                                              Clock& clock);

  // Decodes the next block, less than a second of audio, and appends the windows that are now whole to `windows`. False at
  // the end of the audio. INVALID_ARGUMENT if it can't be decoded, is too long, too short or too loud to be resampled.
  absl::StatusOr<bool> Read(std::vector<Window>& windows);

  const SourceInfo& source() const { return decoder_->info(); }
  // Of what has been read so far.
  absl::Duration duration() const;
  // How many windows the whole source has, if its header says how long it is.
  absl::optional<int64_t> expected_windows() const;
  // What resampling and cutting took so far.
  absl::Duration resampling_time() const { return resampling_time_; }

 private:
  WindowReader(const Options& options, std::unique_ptr<Decoder> decoder, std::unique_ptr<Resampler> resampler, Clock& clock);

  const Options options_;
  const std::unique_ptr<Decoder> decoder_;
  const std::unique_ptr<Resampler> resampler_;
  Clock& clock_;
  Windower windower_;
  std::vector<float> block_;
  std::vector<float> resampled_;
  int64_t frames_ = 0;
  absl::Duration resampling_time_;
};

// Whether `status` says that audio is longer than max_duration.
bool IsTooLong(const absl::Status& status);

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_WINDOW_READER_H_
