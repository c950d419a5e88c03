// Any bytes as an audio file.
#include "absl/strings/string_view.h"
#include "fuzz_pipeline.h"
#include "ogg_checksums.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int /*seed*/) {
  const size_t mutated_size = LLVMFuzzerMutate(data, size, max_size);
  culturetag::RepairOggChecksums(data, mutated_size);
  return mutated_size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto decoder = culturetag::OpenEncoded(absl::string_view(reinterpret_cast<const char*>(data), size));
  if (decoder.ok()) {
    culturetag::RunToWindows(**decoder);
  } else {
    culturetag::Require(absl::IsInvalidArgument(decoder.status()));
  }
  return 0;
}
