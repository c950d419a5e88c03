// What the fuzzers have in common: the way of a decoder's samples to windows.
#ifndef CULTURETAG_TESTS_FUZZ_FUZZ_PIPELINE_H_
#define CULTURETAG_TESTS_FUZZ_FUZZ_PIPELINE_H_

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "audio/decoder.h"
#include "audio/resampler.h"
#include "audio/windower.h"

namespace culturetag {

// Aborts, which is how a fuzzer tells of a broken invariant.
inline void Require(bool invariant) {
  if (!invariant) std::abort();
}

// Decodes, resamples and windows as the server does, up to a bound like its own, and checks what holds for any input. The
// bound is small, since what is behind it goes the same way as what is before it: executions count, not seconds of audio.
inline void RunToWindows(Decoder& decoder) {
  constexpr int kModelRateHz = 24000;
  constexpr size_t kMaxFrames = 1 << 15;
  const WindowShape shape = {4096, 3000, 100};
  auto resampler = Resampler::Create(decoder.info().sample_rate_hz, kModelRateHz);
  Require(resampler.ok());
  Windower windower(shape);
  std::vector<Window> windows;
  std::vector<float> mono(1000);
  std::vector<float> resampled;
  for (size_t frames = 0; frames < kMaxFrames;) {
    const auto count = decoder.Read(absl::MakeSpan(mono));
    if (!count.ok()) {
      Require(absl::IsInvalidArgument(count.status()));
      return;
    }
    Require(*count <= mono.size());
    if (*count == 0) break;
    frames += *count;
    resampled.clear();
    Require((*resampler)->Process(absl::MakeConstSpan(mono).subspan(0, *count), resampled).ok());
    windower.Push(resampled, windows);
  }
  resampled.clear();
  Require((*resampler)->Finish(resampled).ok());
  windower.Push(resampled, windows);
  const absl::Status finished = windower.Finish(windows);
  Require(finished.ok() == (windower.sample_count() >= shape.min_clip));
  for (const Window& window : windows) {
    const auto size = static_cast<int64_t>(window.samples.size());
    Require(size <= shape.window && window.start >= 0 && window.start + size <= windower.sample_count());
  }
}

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_FUZZ_FUZZ_PIPELINE_H_
