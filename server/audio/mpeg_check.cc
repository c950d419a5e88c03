// MPEG audio frames: ISO/IEC 11172-3, 2.4.1.3, and 13818-3, 2.4.2.3. The count of frames: Xing's and Fraunhofer's (VBRI)
// headers, which stand in place of the first frame's content. Tags: ID3v1, ID3v2 (id3.org) and APEv2.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "audio/container_check.h"

namespace culturetag {
namespace {

// Bits of a frame's 32-bit header that are the same in all frames of a stream: sync, version, layer and sample rate.
constexpr uint32_t kStreamMask = 0xfffe0c00;

// The largest ratio of two bit rates of one layer: 160 to 8 kbit/s in MPEG-2 Layer III.
constexpr int64_t kMaxRateRatio = 20;

struct Frame {
  uint32_t header = 0;
  size_t length = 0;        // 0: free format, whose length only the next frame tells
  size_t count_offset = 0;  // where a Xing or Info header stands, from the frame's start
};

// In kbit/s, by [column of the standard's table][index]: layers I, II and III of version 1, then layer I and layers II and
// III of version 2.
constexpr int kBitRates[5][15] = {{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
                                  {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
                                  {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
                                  {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
                                  {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}};
constexpr int kSampleRates[3] = {44100, 48000, 32000};

// The frame at the front of `rest`, if one is there.
absl::optional<Frame> ParseFrame(absl::string_view rest) {
  if (rest.size() < 4) return absl::nullopt;
  const auto header = static_cast<uint32_t>(ReadInteger(rest, 0, 4, true));
  const int version = header >> 19 & 3;  // 0: 2.5, 1: reserved, 2: 2, 3: 1
  const int layer = 4 - static_cast<int>(header >> 17 & 3);
  const int bit_rate_index = header >> 12 & 15;
  const int sample_rate_index = header >> 10 & 3;
  if (header >> 21 != 0x7ff || version == 1 || layer == 4 || bit_rate_index == 15 || sample_rate_index == 3) {
    return absl::nullopt;
  }
  const bool version_1 = version == 3;
  const int sample_rate = kSampleRates[sample_rate_index] >> (version_1 ? 0 : version == 2 ? 1 : 2);
  const int bit_rate = 1000 * kBitRates[version_1 ? layer - 1 : std::min(layer + 2, 4)][bit_rate_index];
  const int padding = header >> 9 & 1;
  Frame frame;
  frame.header = header;
  if (bit_rate != 0) {
    const int slots = layer == 3 && !version_1 ? 72 : 144;
    frame.length = layer == 1 ? (12 * bit_rate / sample_rate + padding) * 4 : slots * bit_rate / sample_rate + padding;
  }
  const bool mono = (header >> 6 & 3) == 3;
  const bool checksum = (header >> 16 & 1) == 0;
  frame.count_offset = 4 + (checksum ? 2 : 0) + (version_1 ? (mono ? 17 : 32) : (mono ? 9 : 17));
  return frame;
}

// How many frames follow `first` by its Xing, Info or VBRI header. `content` starts at the frame.
absl::optional<uint64_t> PromisedFrames(const Frame& first, absl::string_view content) {
  content = content.substr(0, first.length);
  if (content.size() >= first.count_offset + 12) {
    const absl::string_view tag = content.substr(first.count_offset);
    const bool has_count = ReadInteger(tag, 4, 4, true) & 1;
    if ((absl::StartsWith(tag, "Xing") || absl::StartsWith(tag, "Info")) && has_count) return ReadInteger(tag, 8, 4, true);
  }
  constexpr size_t kVbri = 36;
  if (content.size() >= kVbri + 18 && absl::StartsWith(content.substr(kVbri), "VBRI")) {
    const uint64_t count = ReadInteger(content, kVbri + 14, 4, true);
    return count - std::min<uint64_t>(count, 1);  // Whether the count includes its own frame is not written anywhere.
  }
  return absl::nullopt;
}

// The length of the tag at the front of `rest`, or 0 if there is none.
size_t TagLength(absl::string_view rest) {
  if (absl::StartsWith(rest, "TAG") && rest.size() >= 128) return 128;
  if (absl::StartsWith(rest, "APETAGEX") && rest.size() >= 32) {
    return 32 + ReadInteger(rest, 12, 4, false);  // A footer alone has nothing behind it to skip to, which is right, too.
  }
  if (absl::StartsWith(rest, "ID3") && rest.size() >= 10) {
    size_t length = 0;
    for (int i = 6; i < 10; ++i) length = length << 7 | (rest[i] & 0x7f);
    const bool footer = rest[5] & 0x10;
    return 10 + length + (footer ? 10 : 0);
  }
  return 0;
}

size_t SkipTags(absl::string_view bytes, size_t position) {
  while (position < bytes.size()) {
    const size_t length = TagLength(bytes.substr(position));
    if (length == 0) return position;
    position += std::min(length, bytes.size() - position);
  }
  return position;
}

bool IsSync(absl::string_view rest) { return rest.size() >= 2 && ReadInteger(rest, 0, 2, true) >> 5 == 0x7ff; }

// The frame at the front of `rest` if it is of the same stream as `other` and tells its length.
absl::optional<Frame> ParseFrameLike(const Frame& other, absl::string_view rest) {
  const absl::optional<Frame> frame = ParseFrame(rest);
  const bool alike = frame.has_value() && frame->length != 0 && (frame->header & kStreamMask) == (other.header & kStreamMask);
  return alike ? frame : absl::nullopt;
}

// Whether `frame`, which stands at the front of `rest`, is followed by another of its stream.
bool HasFrameAfter(const Frame& frame, absl::string_view rest) {
  return frame.length < rest.size() && ParseFrameLike(frame, rest.substr(frame.length)).has_value();
}

// Whether two successive frames of the stream of `first` stand anywhere in `rest`: junk at the end of a file doesn't look
// like that, frames behind a damaged place do.
bool FramesGoOn(const Frame& first, absl::string_view rest) {
  for (size_t i = rest.find('\xff'); i != absl::string_view::npos; i = rest.find('\xff', i + 1)) {
    const absl::optional<Frame> frame = ParseFrameLike(first, rest.substr(i));
    if (frame.has_value() && HasFrameAfter(*frame, rest.substr(i))) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<ContainerView> CheckMpeg(absl::string_view bytes) {
  ContainerView view{bytes.size(), static_cast<int64_t>(bytes.size()), {}};
  size_t position = SkipTags(bytes, 0);
  const absl::optional<Frame> first = ParseFrame(bytes.substr(position));
  if (!first.has_value() && !IsSync(bytes.substr(position))) return view;  // Another format behind a tag.
  if (first.has_value() && first->length == 0) return view;                // Free format: mpg123 finds the length.

  // Garbage that happens to look like a frame ends here, and doesn't reach mpg123, which complains on standard error.
  if (!first.has_value() || !HasFrameAfter(*first, bytes.substr(position))) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the bytes at %d look like MPEG audio, but are no two frames in a row", position));
  }

  const absl::optional<uint64_t> promised = PromisedFrames(*first, bytes.substr(position));
  uint64_t frame_count = 0;
  while (true) {
    const absl::optional<Frame> frame = ParseFrameLike(*first, bytes.substr(position));
    if (!frame.has_value()) {
      const size_t next = SkipTags(bytes, position);
      if (next == position || next == bytes.size()) break;
      position = next;
      continue;
    }
    const size_t present = bytes.size() - position;
    if (frame->length > present) return TruncatedError("MPEG", present, frame->length, "bytes in its last frame");
    position += frame->length;
    view.size = position;
    ++frame_count;
  }
  if (promised.has_value() && frame_count - 1 < *promised) {  // The frame with the count holds no audio.
    return TruncatedError("MPEG", frame_count - 1, *promised, "frames");
  }
  if (FramesGoOn(*first, bytes.substr(view.size))) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the MPEG file is damaged: no frame starts at byte %d, but later ones do", view.size));
  }
  view.claimed_size = static_cast<int64_t>(view.size) * (promised.has_value() ? 1 : kMaxRateRatio);
  return view;
}

}  // namespace culturetag
