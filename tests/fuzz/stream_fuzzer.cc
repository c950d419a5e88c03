// Any bytes as an audio file that is still coming, in pieces of a size that the first byte says.
#include "audio/chunked_source.h"
#include "fuzz_pipeline.h"
#include "ogg_checksums.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int /*seed*/) {
  const size_t mutated_size = LLVMFuzzerMutate(data, size, max_size);
  if (mutated_size > 0) culturetag::RepairOggChecksums(data + 1, mutated_size - 1);
  return mutated_size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static culturetag::ByteBudget budget(int64_t{16} << 20);
  const int64_t before = budget.left();
  {
    const size_t chunk = size_t{1} << (data[0] % 16);
    const absl::string_view file(reinterpret_cast<const char*>(data + 1), size - 1);
    culturetag::ChunkedSource source(file, [chunk] { return chunk; });
    const auto decoder = culturetag::OpenEncodedStream(source, {"/tmp", &budget});
    if (decoder.ok()) {
      culturetag::RunToWindows(**decoder);
    } else {
      culturetag::Require(absl::IsInvalidArgument(decoder.status()));
    }
  }
  culturetag::Require(budget.left() == before);  // the room of a spooled file is given back
  return 0;
}
