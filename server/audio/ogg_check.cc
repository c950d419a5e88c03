// Ogg pages: RFC 3533, section 6. Vorbis' identification header: Vorbis I specification, 4.2.2.
#include <array>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "audio/container_check.h"

namespace culturetag {
namespace {

constexpr size_t kPageHeader = 27;
constexpr size_t kVersionOffset = 4;
constexpr size_t kChecksumOffset = 22;
constexpr int kContinuedPage = 0x01;
constexpr int kFirstPage = 0x02;
constexpr int kLastPage = 0x04;

// A Vorbis stream opens with three packets: identification, comments, codebooks.
constexpr int kVorbisHeaders = 3;

// What was seen of one logical stream.
struct LogicalStream {
  uint32_t next_sequence = 0;
  int packet_count = 0;  // complete packets
  bool in_packet = false;
  bool is_vorbis = false;
  bool has_ended = false;
};

struct Page {
  absl::string_view bytes;
  absl::string_view segments;  // their lengths, a byte each
  absl::string_view content;
  int flags = 0;
  uint32_t serial = 0;
  uint32_t sequence = 0;
};

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

Page ParsePage(absl::string_view bytes) {
  Page page;
  page.bytes = bytes;
  page.segments = bytes.substr(kPageHeader, static_cast<unsigned char>(bytes[26]));
  page.content = bytes.substr(kPageHeader + page.segments.size());
  page.flags = static_cast<unsigned char>(bytes[5]);
  page.serial = static_cast<uint32_t>(ReadInteger(bytes, 14, 4, false));
  page.sequence = static_cast<uint32_t>(ReadInteger(bytes, 18, 4, false));
  return page;
}

constexpr std::array<uint32_t, 256> ChecksumTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i << 24;
    for (int bit = 0; bit < 8; ++bit) value = value << 1 ^ (value >> 31 != 0 ? 0x04c11db7U : 0U);
    table[i] = value;
  }
  return table;
}

// Whether the page's checksum is right. libogg drops pages where it is not without a word.
bool HasRightChecksum(absl::string_view page) {
  constexpr std::array<uint32_t, 256> kTable = ChecksumTable();
  uint32_t checksum = 0;
  for (size_t i = 0; i < page.size(); ++i) {
    const bool in_checksum = i >= kChecksumOffset && i < kChecksumOffset + 4;
    const uint32_t byte = in_checksum ? 0 : static_cast<unsigned char>(page[i]);
    checksum = checksum << 8 ^ kTable[checksum >> 24 ^ byte];
  }
  return checksum == ReadInteger(page, kChecksumOffset, 4, false);
}

// Whether a stream's first page holds a Vorbis identification header that libvorbis takes, and nothing else.
bool IsVorbisIdentification(const Page& page) {
  const absl::string_view content = page.content;
  if (page.segments.size() != 1 || content.size() != 30) return false;
  const int short_block = content[28] & 15;
  const int long_block = content[28] >> 4 & 15;
  return ReadInteger(content, 7, 4, false) == 0 && content[11] != 0 && ReadInteger(content, 12, 4, false) != 0 &&
         short_block >= 6 && long_block >= short_block && long_block <= 13 && (content[29] & 1) != 0;
}

absl::Status Damaged(size_t position, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrFormat("the Ogg file is damaged: the page at byte %d %s", position, what));
}

// Adds `page`, which stands at `position`, to its stream. libsndfile 1.2 never frees what it has read of a Vorbis stream
// whose headers turn out incomplete, so that those are held to every rule here and don't reach it.
absl::Status AddPage(const Page& page, size_t position, LogicalStream& stream) {
  const bool in_headers = stream.packet_count < kVorbisHeaders;
  const bool continues = (page.flags & kContinuedPage) != 0;
  if (in_headers && (page.sequence != stream.next_sequence || continues != stream.in_packet)) {
    return Damaged(position, "does not follow the one before it");
  }
  if ((page.flags & kFirstPage) != 0 && absl::StartsWith(page.content, "\x01vorbis")) {
    if (!IsVorbisIdentification(page)) return Damaged(position, "holds no valid Vorbis header");
    stream.is_vorbis = true;
  }
  for (const char length : page.segments) {
    stream.in_packet = static_cast<unsigned char>(length) == 255;
    if (!stream.in_packet) ++stream.packet_count;
  }
  stream.next_sequence = page.sequence + 1;
  stream.has_ended = stream.has_ended || (page.flags & kLastPage) != 0;
  return absl::OkStatus();
}

// Whether each stream ended, in a file whose pages do at `position` of `size`.
absl::Status CheckEnds(const std::map<uint32_t, LogicalStream>& streams, size_t position, size_t size) {
  for (const auto& [serial, stream] : streams) {
    if (!stream.has_ended) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the Ogg file is truncated or damaged: its pages end at byte %d of %d without a last page", position, size));
    }
    if (stream.is_vorbis && stream.packet_count < kVorbisHeaders) {
      return absl::InvalidArgumentError("the Ogg file ends before its Vorbis headers do");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ContainerView> CheckOgg(absl::string_view bytes) {
  std::map<uint32_t, LogicalStream> streams;  // by serial number
  bool had_content = false;                   // whether a page other than a stream's first was seen
  size_t position = 0;
  while (const size_t length = PageLength(bytes.substr(position))) {
    const size_t present = bytes.size() - position;
    if (length > present) return TruncatedError("Ogg", present, length, "bytes of its last page");
    const Page page = ParsePage(bytes.substr(position, length));
    if (!HasRightChecksum(page.bytes)) return Damaged(position, "has a wrong checksum");
    if (page.bytes[kVersionOffset] != 0) return Damaged(position, "is of an unknown version");  // libogg drops it, too

    const bool is_first = (page.flags & kFirstPage) != 0;
    if (is_first && had_content) {
      return absl::InvalidArgumentError("the Ogg file is chained: send each of the streams in it as a file of its own");
    }
    had_content = had_content || !is_first;
    const auto stream = is_first ? streams.try_emplace(page.serial).first : streams.find(page.serial);
    if (stream == streams.end()) return Damaged(position, "belongs to no stream that was opened");
    if (absl::Status status = AddPage(page, position, stream->second); !status.ok()) return status;
    position += length;
  }
  if (absl::Status status = CheckEnds(streams, position, bytes.size()); !status.ok()) return status;
  return ContainerView{position, static_cast<int64_t>(position), {}};
}

}  // namespace culturetag
