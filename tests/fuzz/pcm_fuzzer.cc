// Any bytes as PCM: the first eight are its description, the rest its samples.
#include <cstring>

#include "absl/strings/string_view.h"
#include "fuzz_pipeline.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kDescription = 8;
  if (size < kDescription) return 0;
  int32_t numbers[2];
  std::memcpy(numbers, data, sizeof(numbers));
  culturetag::PcmFormat format;
  // Most numbers would be out of range, so that the low bits choose among those around it.
  format.encoding = (numbers[0] & 1) != 0 ? culturetag::PcmEncoding::kF32Le : culturetag::PcmEncoding::kS16Le;
  format.channel_count = (numbers[0] >> 1 & 63) - 8;
  format.sample_rate_hz = numbers[1] & 0x7ffff;
  const absl::string_view samples(reinterpret_cast<const char*>(data) + kDescription, size - kDescription);
  const auto decoder = culturetag::OpenPcm(format, samples);
  if (decoder.ok()) {
    culturetag::RunToWindows(**decoder);
  } else {
    culturetag::Require(absl::IsInvalidArgument(decoder.status()));
  }
  return 0;
}
