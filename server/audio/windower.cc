#include "audio/windower.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace culturetag {

int64_t WindowCount(const WindowShape& shape, int64_t samples) {
  if (samples <= shape.window) return 1;
  return 1 + (samples - shape.window + shape.hop - 1) / shape.hop;
}

Windower::Windower(const WindowShape& shape) : shape_(shape), ring_(static_cast<size_t>(shape.window)) {}

void Windower::Push(absl::Span<const float> samples, std::vector<Window>& windows) {
  while (!samples.empty()) {
    // At most up to the end of the next window and of the ring.
    const int64_t write = sample_count_ % shape_.window;
    const int64_t room = std::min(next_start_ + shape_.window - sample_count_, shape_.window - write);
    const auto count = std::min(samples.size(), static_cast<size_t>(room));
    std::copy_n(samples.begin(), count, ring_.begin() + write);
    samples.remove_prefix(count);
    sample_count_ += static_cast<int64_t>(count);
    if (sample_count_ == next_start_ + shape_.window) {
      windows.push_back(LastSamples(shape_.window));
      next_start_ += shape_.hop;
    }
  }
}

absl::Status Windower::Finish(std::vector<Window>& windows) {
  if (sample_count_ < shape_.min_clip) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the audio is too short: %d samples at the model's rate, which needs at least %d", sample_count_, shape_.min_clip));
  }
  const bool has_windows = next_start_ > 0;
  const int64_t covered = has_windows ? next_start_ - shape_.hop + shape_.window : 0;
  if (covered < sample_count_) windows.push_back(LastSamples(std::min(sample_count_, shape_.window)));
  return absl::OkStatus();
}

Window Windower::LastSamples(int64_t length) const {
  Window window;
  window.start = sample_count_ - length;
  window.samples.reserve(static_cast<size_t>(length));
  const int64_t first = window.start % shape_.window;
  const int64_t before_wrap = std::min(length, shape_.window - first);
  window.samples.insert(window.samples.end(), ring_.begin() + first, ring_.begin() + first + before_wrap);
  window.samples.insert(window.samples.end(), ring_.begin(), ring_.begin() + (length - before_wrap));
  return window;
}

}  // namespace culturetag
