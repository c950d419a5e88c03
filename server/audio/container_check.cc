#include "audio/container_check.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"

namespace culturetag {
namespace {

// How a family of formats lays out its chunks: an identifier, a size, a body.
struct ChunkLayout {
  absl::string_view name;
  size_t first_chunk = 12;
  size_t id_width = 4;
  size_t size_width = 4;
  bool big_endian = false;
  bool size_counts_header = false;
  size_t alignment = 2;         // of a chunk's length
  size_t outer_size_offset = 4;  // 0: the format has no size of the whole
  absl::string_view data_id = "data";
  bool samples_come_last = false;  // then libsndfile takes whatever follows them for samples, too
};

// The layout of the container that `bytes` open; the name is empty if they open none of these.
//
// RIFF: Microsoft/IBM, Multimedia Programming Interface and Data Specifications 1.0. RF64: EBU Tech 3306. W64: Sony
// Wave64. AIFF: Apple, Audio Interchange File Format 1.3; SVX: EA IFF 85. CAF: Apple Core Audio Format Specification 1.0.
ChunkLayout LayoutOf(absl::string_view bytes) {
  ChunkLayout layout;
  const absl::string_view magic = bytes.substr(0, 4);
  if (magic == "RIFF") {
    layout.name = "WAV";
  } else if (magic == "RIFX") {
    layout.name = "WAV";
    layout.big_endian = true;
  } else if (magic == "RF64") {
    layout.name = "RF64";
  } else if (magic == "FORM") {
    const bool aiff = absl::StartsWith(bytes.substr(std::min<size_t>(8, bytes.size())), "AIF");
    layout.name = aiff ? "AIFF" : "SVX";
    layout.big_endian = true;
    layout.data_id = aiff ? "SSND" : "BODY";
    layout.samples_come_last = !aiff;
  } else if (magic == "riff") {
    layout.name = "W64";
    layout.first_chunk = 40;
    layout.id_width = 16;
    layout.size_width = 8;
    layout.size_counts_header = true;
    layout.alignment = 8;
    layout.outer_size_offset = 16;
    layout.samples_come_last = true;
  } else if (magic == "caff") {
    layout.name = "CAF";
    layout.first_chunk = 8;
    layout.size_width = 8;
    layout.big_endian = true;
    layout.alignment = 1;
    layout.outer_size_offset = 0;
  }
  return layout;
}

std::string IntegerBytes(uint64_t value, size_t width, bool big_endian) {
  std::string bytes;
  for (size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
  if (big_endian) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

// The first `size` bytes, as they are.
ContainerView Front(absl::string_view bytes, size_t size) {
  ContainerView view;
  view.size = std::min(size, bytes.size());
  view.claimed_size = static_cast<int64_t>(view.size);
  return view;
}

// Whether `size` is what streaming writers put where they don't know: all ones, the largest signed value (ffmpeg's W64), or
// just below 2 GiB, rounded to whole frames (SoX's WAV).
bool IsPlaceholder(uint64_t size, size_t width) {
  const uint64_t all_ones = ~uint64_t{0} >> (64 - 8 * width);
  if (size == all_ones) return true;
  return width == 8 ? size == all_ones >> 1 : size > 0x7fff0000 && size <= 0x7ffff000;
}

// Where the size of the samples is written, and what it says.
struct DataSize {
  size_t offset = 0;
  size_t width = 0;
  uint64_t value = 0;
};

// Sizes in place of unknown ones: nothing that is uploaded reaches them.
constexpr uint64_t kUnboundedSize32 = 0xfffff000;
constexpr uint64_t kUnboundedSize64 = uint64_t{1} << 60;

class ChunkReader {
 public:
  ChunkReader(absl::string_view bytes, const ChunkLayout& layout) : bytes_(bytes), layout_(layout) {}

  absl::StatusOr<ContainerView> Check() {
    ContainerView view = Front(bytes_, bytes_.size());
    const absl::optional<Samples> samples = Find();
    if (!samples.has_value()) return view;  // No samples: libsndfile says so better.
    return CheckData(*samples, std::move(view));
  }

  // Of a file of which only the front is there: false if it doesn't reach as far as the samples.
  bool View(ContainerView& view) {
    const absl::optional<Samples> samples = Find();
    if (!samples.has_value()) return false;
    DataSize size = samples->size;
    const bool in_ds64 = ds64_size_.width != 0 && IsPlaceholder(size.value, size.width);
    if (in_ds64) size = ds64_size_;
    const bool unknown = IsPlaceholder(size.value, size.width) || (size.value == 0 && OuterSizeEndsAt(samples->body, in_ds64));
    const size_t header = layout_.size_counts_header ? layout_.id_width + layout_.size_width : 0;
    // What a 32-bit field can say and libsndfile believes; larger fields say what can't be reached.
    const uint64_t claimed = !unknown ? std::min(size.value, kUnboundedSize64) : size.width == 4 ? kUnboundedSize32 : kUnboundedSize64;
    view.open_ended = unknown;
    view.size = samples->body + claimed;
    view.claimed_size = static_cast<int64_t>(view.size);
    if (!unknown) return true;
    view.patches.push_back({size.offset, IntegerBytes(claimed + header, size.width, layout_.big_endian)});
    if (layout_.size_counts_header) view.patches.push_back({layout_.outer_size_offset, IntegerBytes(view.size, 8, layout_.big_endian)});
    return true;
  }

 private:
  struct Samples {
    size_t body = 0;
    DataSize size;
  };

  absl::optional<Samples> Find() {
    const size_t header = layout_.id_width + layout_.size_width;
    for (size_t chunk = layout_.first_chunk; chunk <= bytes_.size() && bytes_.size() - chunk >= header;) {
      const DataSize size = SizeField(chunk);
      const size_t body = chunk + header;
      const absl::string_view id = bytes_.substr(chunk, 4);
      if (id == layout_.data_id) return Samples{body, size};
      if (id == "ds64" && bytes_.size() - body >= 16) ds64_size_ = {body + 8, 8, ReadInteger(bytes_, body + 8, 8, false)};
      if (size.value > bytes_.size() - body) break;
      const uint64_t length = size.value + header;
      chunk += length + (layout_.alignment - length % layout_.alignment) % layout_.alignment;
    }
    return absl::nullopt;
  }

  // The body's size of the chunk at `chunk`.
  DataSize SizeField(size_t chunk) const {
    DataSize size{chunk + layout_.id_width, layout_.size_width, 0};
    size.value = ReadInteger(bytes_, size.offset, size.width, layout_.big_endian);
    const size_t header = layout_.id_width + layout_.size_width;
    if (layout_.size_counts_header && size.value >= header && !IsPlaceholder(size.value, size.width)) size.value -= header;
    return size;
  }

  absl::StatusOr<ContainerView> CheckData(const Samples& samples, ContainerView view) const {
    const size_t body = samples.body;
    DataSize size = samples.size;
    const uint64_t present = bytes_.size() - body;
    const bool in_ds64 = ds64_size_.width != 0 && IsPlaceholder(size.value, size.width);
    if (in_ds64) size = ds64_size_;
    if (IsPlaceholder(size.value, size.width) || (size.value == 0 && OuterSizeEndsAt(body, in_ds64))) {
      const size_t header = layout_.size_counts_header ? layout_.id_width + layout_.size_width : 0;
      view.patches.push_back({size.offset, IntegerBytes(present + header, size.width, layout_.big_endian)});
      if (layout_.size_counts_header) {  // libsndfile also refuses a placeholder in W64's outer size.
        view.patches.push_back({layout_.outer_size_offset, IntegerBytes(bytes_.size(), 8, layout_.big_endian)});
      }
      return view;
    }
    if (size.value > present) return TruncatedError(layout_.name, present, size.value, "bytes of samples");
    return layout_.samples_come_last ? Front(bytes_, body + size.value) : view;
  }

  // Whether the size of the whole says that nothing follows `body`: then a size of 0 is a placeholder, too, and no empty
  // chunk with others behind it.
  bool OuterSizeEndsAt(size_t body, bool in_ds64) const {
    if (layout_.outer_size_offset == 0) return false;
    const size_t offset = in_ds64 ? ds64_size_.offset - 8 : layout_.outer_size_offset;
    const size_t width = in_ds64 ? 8 : layout_.size_width;
    const uint64_t outer = ReadInteger(bytes_, offset, width, layout_.big_endian);
    return IsPlaceholder(outer, width) || outer <= body - 8;
  }

  const absl::string_view bytes_;
  const ChunkLayout layout_;
  DataSize ds64_size_;  // width 0: none seen
};

// A dump's header and its packets open alike, with a MIDI "universal non-real time" message of one device.
bool OpensSdsMessage(absl::string_view bytes, char kind) {
  return bytes.size() >= 4 && bytes[0] == '\xf0' && bytes[1] == '\x7e' && bytes[3] == kind;
}

bool IsAu(absl::string_view bytes) { return absl::StartsWith(bytes, ".snd") || absl::StartsWith(bytes, "dns."); }

// MPEG audio has no magic number: its frames open with eleven ones, and tags may stand before them.
bool MayBeMpeg(absl::string_view bytes) {
  if (absl::StartsWith(bytes, "ID3")) return true;
  return bytes.size() >= 2 && bytes[0] == '\xff' && (bytes[1] & 0xe0) == 0xe0;
}

}  // namespace

uint64_t ReadInteger(absl::string_view bytes, size_t offset, size_t width, bool big_endian) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) {
    const size_t index = big_endian ? i : width - 1 - i;
    value = value << 8 | static_cast<unsigned char>(bytes[offset + index]);
  }
  return value;
}

absl::Status TruncatedError(absl::string_view format, uint64_t present, uint64_t promised, absl::string_view units) {
  return absl::InvalidArgumentError(absl::StrFormat("the %s file is truncated: its header promises %d %s, only %d are there",
                                                    format, promised, units, present));
}

absl::StatusOr<ContainerView> CheckContainer(absl::string_view bytes) {
  if (!LayoutOf(bytes).name.empty()) return CheckChunks(bytes);
  if (IsAu(bytes)) return CheckAu(bytes);
  if (OpensSdsMessage(bytes, 1)) return CheckSds(bytes);
  if (absl::StartsWith(bytes, "OggS")) return CheckOgg(bytes);
  if (MayBeMpeg(bytes)) return CheckMpeg(bytes);
  return Front(bytes, bytes.size());
}

StreamKind InspectFront(absl::string_view front, bool at_end, ContainerView& view) {
  constexpr size_t kEnoughForMagic = 64;
  // Samples that don't begin within so many bytes aren't worth waiting for.
  constexpr size_t kLongestHeaders = size_t{4} << 20;
  if (at_end) return StreamKind::kWhole;
  if (front.size() < kEnoughForMagic) return StreamKind::kUndecided;
  view = ContainerView();
  if (!LayoutOf(front).name.empty()) {
    if (ChunkReader(front, LayoutOf(front)).View(view)) return StreamKind::kStream;
    return front.size() < kLongestHeaders ? StreamKind::kUndecided : StreamKind::kWhole;
  }
  if (absl::StartsWith(front, "fLaC")) {
    view.size = kUnboundedSize64;
    view.claimed_size = static_cast<int64_t>(kUnboundedSize64);
    return StreamKind::kStream;
  }
  return MayBeMpeg(front) ? StreamKind::kMpeg : StreamKind::kWhole;
}

absl::StatusOr<ContainerView> CheckChunks(absl::string_view bytes) { return ChunkReader(bytes, LayoutOf(bytes)).Check(); }

absl::StatusOr<ContainerView> CheckAu(absl::string_view bytes) {
  ContainerView view = Front(bytes, bytes.size());
  if (bytes.size() < 12) return view;
  const bool big_endian = bytes[0] == '.';
  const uint64_t body = ReadInteger(bytes, 4, 4, big_endian);
  const uint64_t promised = ReadInteger(bytes, 8, 4, big_endian);
  const uint64_t present = body < bytes.size() ? bytes.size() - body : 0;
  if (promised == 0 || IsPlaceholder(promised, 4)) {
    view.patches.push_back({8, IntegerBytes(present, 4, big_endian)});
    return view;
  }
  if (promised > present) return TruncatedError("AU", present, promised, "bytes of samples");
  return Front(bytes, body + promised);
}

absl::StatusOr<ContainerView> CheckSds(absl::string_view bytes) {
  // MIDI 1.0 Detailed Specification, Sample Dump Standard: numbers come in bytes of 7 bits.
  constexpr size_t kHeader = 21;
  constexpr size_t kPacket = 127;
  constexpr size_t kPacketContent = 120;
  if (bytes.size() < kHeader) return Front(bytes, bytes.size());
  const size_t bits = static_cast<unsigned char>(bytes[6]);
  const size_t frames = static_cast<size_t>(bytes[10] & 0x7f) | static_cast<size_t>(bytes[11] & 0x7f) << 7 |
                        static_cast<size_t>(bytes[12] & 0x7f) << 14;
  if (bits < 8 || bits > 28) {
    return absl::InvalidArgumentError(absl::StrFormat("the SDS file's samples have %d bits; they may have 8 to 28", bits));
  }
  const size_t frames_per_packet = kPacketContent / ((bits + 6) / 7);
  const size_t promised = (frames + frames_per_packet - 1) / frames_per_packet;
  for (size_t packet = 0; packet < promised; ++packet) {
    const size_t start = kHeader + packet * kPacket;
    if (bytes.size() < start + kPacket || !OpensSdsMessage(bytes.substr(start), 2)) {
      return TruncatedError("SDS", packet, promised, "packets");
    }
  }
  return Front(bytes, kHeader + promised * kPacket);
}

}  // namespace culturetag
