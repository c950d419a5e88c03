// Cuts a stream of samples into the model's analysis windows.
//
// With a window of W samples and a hop of H, windows start at 0, H, 2H, ... as long as they are whole. If samples remain
// after the last of these, one more window is right-aligned with the end, so that it overlaps the one before; nothing is
// padded, since the first convolution's GroupNorm normalises over time. A clip shorter than W is one window of its own
// length. (DESIGN.md, section 1.)
//
// Thread-compatible. Holds W samples besides the windows that it has handed out.
#ifndef CULTURETAG_AUDIO_WINDOWER_H_
#define CULTURETAG_AUDIO_WINDOWER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace culturetag {

// In samples at the model's rate; the values come from the bundle's manifest.
struct WindowShape {
  int64_t window = 0;    // > 0
  int64_t hop = 0;       // in [1, window]
  int64_t min_clip = 0;  // in [1, window]
};

struct Window {
  int64_t start = 0;  // index of the first sample in the resampled audio
  std::vector<float> samples;
};

// How many windows `samples` > 0 samples are cut into.
int64_t WindowCount(const WindowShape& shape, int64_t samples);

class Windower {
 public:
  explicit Windower(const WindowShape& shape);

  // Takes the next samples and appends every window that is now whole to `windows`.
  void Push(absl::Span<const float> samples, std::vector<Window>& windows);

  // Ends the audio: appends the right-aligned or the short window where there is one. INVALID_ARGUMENT if the audio was
  // shorter than `min_clip`. Call it once.
  absl::Status Finish(std::vector<Window>& windows);

  // Samples taken so far.
  int64_t sample_count() const { return sample_count_; }

 private:
  // The window of the last `length` samples, at most shape_.window.
  Window LastSamples(int64_t length) const;

  const WindowShape shape_;
  int64_t sample_count_ = 0;
  int64_t next_start_ = 0;   // where the next regular window starts
  std::vector<float> ring_;  // the last samples: sample i stands at i % shape_.window
};

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_WINDOWER_H_
