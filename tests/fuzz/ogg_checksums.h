// Mutations of Ogg files that a decoder looks into.
#ifndef CULTURETAG_TESTS_FUZZ_OGG_CHECKSUMS_H_
#define CULTURETAG_TESTS_FUZZ_OGG_CHECKSUMS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace culturetag {

// Sets the checksums of the Ogg pages at the front of `data` right: nearly every mutation would end there otherwise.
inline void RepairOggChecksums(uint8_t* data, size_t size) {
  constexpr size_t kHeader = 27;
  constexpr size_t kChecksum = 22;
  size_t page = 0;
  while (page + kHeader <= size && absl::StartsWith({reinterpret_cast<char*>(data) + page, 4}, "OggS")) {
    size_t end = page + kHeader + data[page + 26];
    if (end > size) return;
    for (size_t i = page + kHeader, segments_end = end; i < segments_end; ++i) end += data[i];
    if (end > size) return;
    for (size_t i = 0; i < 4; ++i) data[page + kChecksum + i] = 0;
    uint32_t checksum = 0;
    for (size_t i = page; i < end; ++i) {
      checksum ^= static_cast<uint32_t>(data[i]) << 24;
      for (int bit = 0; bit < 8; ++bit) checksum = checksum << 1 ^ (checksum >> 31 != 0 ? 0x04c11db7U : 0U);
    }
    for (size_t i = 0; i < 4; ++i) data[page + kChecksum + i] = static_cast<uint8_t>(checksum >> (8 * i));
    page = end;
  }
}

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_FUZZ_OGG_CHECKSUMS_H_
