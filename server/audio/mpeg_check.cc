// MPEG audio frames: ISO/IEC 11172-3, 2.4.1.3, and 13818-3, 2.4.2.3. The count of frames: Xing's and Fraunhofer's (VBRI)
// headers, which stand in place of the first frame's content. Tags: ID3v1, ID3v2 (id3.org) and APEv2.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "audio/container_check.h"
#include "base/status_macros.h"

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
  int samples = 0;          // of each channel
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
  frame.samples = layer == 1 ? 384 : layer == 3 && !version_1 ? 576 : 1152;
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

}  // namespace

struct MpegScanner::Stream {
  Frame first;
  absl::optional<uint64_t> promised;
};

MpegScanner::MpegScanner() = default;
MpegScanner::~MpegScanner() = default;

bool MpegScanner::has_promise() const { return stream_ != nullptr && stream_->promised.has_value(); }

int64_t MpegScanner::sample_count() const {
  if (stream_ == nullptr) return 0;
  return static_cast<int64_t>(frame_count_ - (has_promise() ? 1 : 0)) * stream_->first.samples;
}

absl::StatusOr<size_t> MpegScanner::Scan(absl::string_view rest, bool at_end) {
  size_t moved = 0;
  while (true) {
    CULTURETAG_ASSIGN_OR_RETURN(const size_t step, Step(rest.substr(moved), at_end));
    if (step == 0) return moved;
    moved += step;
    position_ += step;
  }
}

// By how much the position moves; 0 if it takes more bytes to tell.
absl::StatusOr<size_t> MpegScanner::Step(absl::string_view rest, bool at_end) {
  constexpr size_t kLongestTagHeader = 128;  // an ID3v1 tag is told by all of it
  if (rest.empty() || other_format_) return 0;
  if (skip_ > 0) {
    const auto skipped = std::min<uint64_t>(skip_, rest.size());
    skip_ -= skipped;
    return skipped;
  }
  if (in_junk_) return SkipJunk(rest, at_end);
  if (rest.size() < kLongestTagHeader && !at_end) return 0;
  const absl::optional<Frame> frame = stream_ == nullptr ? absl::nullopt : ParseFrameLike(stream_->first, rest);
  if (frame.has_value()) {
    if (frame->length > rest.size()) {
      if (!at_end) return 0;
      return TruncatedError("MPEG", rest.size(), frame->length, "bytes in its last frame");
    }
    ++frame_count_;
    frames_end_ = position_ + frame->length;
    return frame->length;
  }
  if (const size_t tag = TagLength(rest); tag > 0) {
    skip_ = tag;
    return Step(rest, at_end);
  }
  if (stream_ == nullptr) return FindFirst(rest, at_end);
  in_junk_ = true;
  return SkipJunk(rest, at_end);
}

absl::StatusOr<size_t> MpegScanner::FindFirst(absl::string_view rest, bool at_end) {
  constexpr size_t kLongestFrame = 2881;  // and a header: so many bytes tell
  if (rest.size() < kLongestFrame + 4 && !at_end) return 0;
  const absl::optional<Frame> first = ParseFrame(rest);
  if ((!first.has_value() && !IsSync(rest)) || (first.has_value() && first->length == 0)) {
    other_format_ = true;  // or the free format, of which mpg123 finds the length
    return 0;
  }
  // Garbage that happens to look like a frame ends here, and doesn't reach mpg123, which complains on standard error.
  if (!first.has_value() || !HasFrameAfter(*first, rest)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the bytes at %d look like MPEG audio, but are no two frames in a row", position_));
  }
  stream_ = std::make_unique<Stream>(Stream{*first, PromisedFrames(*first, rest)});
  frames_start_ = frames_end_ = position_;
  return Step(rest, at_end);
}

// Junk at the end of a file doesn't look like two successive frames of the stream; frames behind a damaged place do.
absl::StatusOr<size_t> MpegScanner::SkipJunk(absl::string_view rest, bool at_end) {
  for (size_t i = rest.find('\xff'); i != absl::string_view::npos; i = rest.find('\xff', i + 1)) {
    const absl::string_view candidate = rest.substr(i);
    if (candidate.size() < 4 && !at_end) return i;
    const absl::optional<Frame> frame = ParseFrameLike(stream_->first, candidate);
    if (!frame.has_value()) continue;
    if (candidate.size() < frame->length + 4 && !at_end) return i;
    if (HasFrameAfter(*frame, candidate)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the MPEG file is damaged: no frame starts at byte %d, but later ones do", frames_end_));
    }
  }
  return rest.size();
}

absl::Status MpegScanner::Finish() const {
  if (has_promise() && frame_count_ - 1 < *stream_->promised) {  // The frame with the count holds no audio.
    return TruncatedError("MPEG", frame_count_ - 1, *stream_->promised, "frames");
  }
  return absl::OkStatus();
}

absl::StatusOr<ContainerView> CheckMpeg(absl::string_view bytes) {
  ContainerView view;
  view.size = bytes.size();
  view.claimed_size = static_cast<int64_t>(bytes.size());
  MpegScanner scanner;
  CULTURETAG_RETURN_IF_ERROR(scanner.Scan(bytes, true).status());
  if (scanner.frames_end() == scanner.frames_start()) return view;  // Another format behind a tag.
  CULTURETAG_RETURN_IF_ERROR(scanner.Finish());
  view.size = scanner.frames_end();
  view.frame_count = scanner.sample_count();
  view.claimed_size = static_cast<int64_t>(view.size) * (scanner.has_promise() ? 1 : kMaxRateRatio);
  return view;
}

}  // namespace culturetag
