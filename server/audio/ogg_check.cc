// Ogg pages: RFC 3533, section 6.
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "audio/container_check.h"

namespace culturetag {
namespace {

constexpr size_t kPageHeader = 27;
constexpr int kFirstPage = 0x02;
constexpr int kLastPage = 0x04;

// The length of the page at the front of `rest`, or 0 if there is none. May exceed `rest` if the page is cut.
size_t PageLength(absl::string_view rest) {
  if (!absl::StartsWith(rest, "OggS")) return 0;
  if (rest.size() < kPageHeader) return kPageHeader;
  const size_t segments = static_cast<unsigned char>(rest[26]);
  size_t length = kPageHeader + segments;
  if (rest.size() < length) return length;
  for (size_t i = 0; i < segments; ++i) length += static_cast<unsigned char>(rest[kPageHeader + i]);
  return length;
}

}  // namespace

absl::StatusOr<ContainerView> CheckOgg(absl::string_view bytes) {
  std::set<uint64_t> open_streams;  // serial numbers
  bool had_content = false;         // whether a page other than a stream's first was seen
  size_t position = 0;
  while (const size_t length = PageLength(bytes.substr(position))) {
    const size_t present = bytes.size() - position;
    if (length > present) return TruncatedError("Ogg", present, length, "bytes of its last page");
    const int flags = static_cast<unsigned char>(bytes[position + 5]);
    const uint64_t serial = ReadInteger(bytes, position + 14, 4, false);
    if (flags & kFirstPage) {
      if (had_content) {
        return absl::InvalidArgumentError("the Ogg file is chained: send each of the streams in it as a file of its own");
      }
      open_streams.insert(serial);
    } else {
      had_content = true;
    }
    if (flags & kLastPage) open_streams.erase(serial);
    position += length;
  }
  if (!open_streams.empty()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the Ogg file is truncated or damaged: its pages end at byte %d of %d without a last page", position, bytes.size()));
  }
  return ContainerView{position, static_cast<int64_t>(position), {}};
}

}  // namespace culturetag
