#include "client/bench/clip.h"

#include <cstdint>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

namespace culturetag::client {
namespace {

// The MERT family's rate, so that a server has nothing to resample: its device is what is to be measured.
constexpr int kRateHz = 24000;

}  // namespace

Clip SyntheticClip(absl::Duration length) {
  std::mt19937 random(1);
  const auto frames = static_cast<int64_t>(absl::ToDoubleSeconds(length) * kRateHz);
  std::string samples;
  samples.reserve(static_cast<std::size_t>(2 * frames));
  for (int64_t i = 0; i < frames; ++i) {
    const uint32_t bits = random();
    // A quarter of full scale.
    const auto sample = static_cast<int16_t>(static_cast<int32_t>(bits & 0x3fff) - 0x2000);
    samples.push_back(static_cast<char>(static_cast<uint16_t>(sample)));
    samples.push_back(static_cast<char>(static_cast<uint16_t>(sample) >> 8));
  }
  Clip clip;
  clip.name = absl::StrCat(absl::ToDoubleSeconds(length), " s of noise");
  v1::Pcm& pcm = *clip.audio.mutable_pcm();
  pcm.set_encoding(v1::ENCODING_S16LE);
  pcm.set_sample_rate_hz(kRateHz);
  pcm.set_channel_count(1);
  pcm.set_samples(std::move(samples));
  return clip;
}

}  // namespace culturetag::client
