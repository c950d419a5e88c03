#include "audio/audio_files.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// A growing file in memory for libsndfile's callbacks.
struct OutputFile {
  std::string bytes;
  sf_count_t position = 0;
};

OutputFile& FileOf(void* self) { return *static_cast<OutputFile*>(self); }

SF_VIRTUAL_IO OutputCallbacks() {
  SF_VIRTUAL_IO io = {};
  io.get_filelen = [](void* self) { return static_cast<sf_count_t>(FileOf(self).bytes.size()); };
  io.seek = [](sf_count_t offset, int whence, void* self) {
    OutputFile& file = FileOf(self);
    const auto end = static_cast<sf_count_t>(file.bytes.size());
    file.position = offset + (whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.position : end);
    return file.position;
  };
  io.read = [](void* to, sf_count_t count, void* self) {
    OutputFile& file = FileOf(self);
    const auto end = static_cast<sf_count_t>(file.bytes.size());
    const sf_count_t available = std::clamp<sf_count_t>(end - file.position, 0, count);
    std::memcpy(to, file.bytes.data() + file.position, static_cast<size_t>(available));
    file.position += available;
    return available;
  };
  io.write = [](const void* from, sf_count_t count, void* self) {
    OutputFile& file = FileOf(self);
    const auto end = static_cast<size_t>(file.position + count);
    if (file.bytes.size() < end) file.bytes.resize(end);
    std::memcpy(file.bytes.data() + file.position, from, static_cast<size_t>(count));
    file.position += count;
    return count;
  };
  io.tell = [](void* self) { return FileOf(self).position; };
  return io;
}

SF_INFO InfoOf(const AudioFileSpec& spec) {
  SF_INFO info = {};
  info.format = spec.format;
  info.samplerate = spec.sample_rate_hz;
  info.channels = spec.channel_count;
  return info;
}

// The codes of all containers or of all encodings that libsndfile knows.
std::vector<int> KnownCodes(int count_command, int item_command) {
  int count = 0;
  sf_command(nullptr, count_command, &count, sizeof(count));
  std::vector<int> codes;
  for (int i = 0; i < count; ++i) {
    SF_FORMAT_INFO item = {};
    item.format = i;
    sf_command(nullptr, item_command, &item, sizeof(item));
    codes.push_back(item.format);
  }
  return codes;
}

}  // namespace

std::string Describe(const AudioFileSpec& spec) {
  return absl::StrCat("format ", absl::Hex(spec.format), ", ", spec.channel_count, " channels, ", spec.sample_rate_hz, " Hz");
}

std::vector<float> SineMean(const AudioFileSpec& spec) {
  const double step = 2 * M_PI * 440 / spec.sample_rate_hz;
  std::vector<float> samples(static_cast<size_t>(spec.frame_count));
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<float>(0.5 * std::sin(step * static_cast<double>(i)));
  return samples;
}

std::string EncodeSine(const AudioFileSpec& spec) {
  std::vector<float> interleaved;
  for (const float sample : SineMean(spec)) {
    for (int c = 0; c < spec.channel_count; ++c) {
      interleaved.push_back(sample * 2.0F * static_cast<float>(c + 1) / static_cast<float>(spec.channel_count + 1));
    }
  }
  return Encode(spec, interleaved);
}

std::string Encode(const AudioFileSpec& spec, const std::vector<float>& interleaved) {
  OutputFile file;
  SF_VIRTUAL_IO io = OutputCallbacks();
  SF_INFO info = InfoOf(spec);
  SNDFILE* const out = sf_open_virtual(&io, SFM_WRITE, &info, &file);
  if (out == nullptr) throw std::runtime_error(sf_strerror(nullptr));
  sf_command(out, SFC_SET_CLIPPING, nullptr, SF_TRUE);
  const auto count = static_cast<sf_count_t>(interleaved.size());
  // In blocks: libsndfile's Vorbis encoder takes a whole call's samples onto its own buffers.
  constexpr sf_count_t kBlock = 4096;
  const sf_count_t block = kBlock - kBlock % spec.channel_count;
  for (sf_count_t i = 0; i < count; i += block) sf_write_float(out, interleaved.data() + i, std::min(block, count - i));
  sf_close(out);
  return file.bytes;
}

bool IsWritable(const AudioFileSpec& spec) {
  OutputFile file;
  SF_VIRTUAL_IO io = OutputCallbacks();
  SF_INFO info = InfoOf(spec);
  // sf_format_check also accepts what this build has no encoder for.
  SNDFILE* const out = sf_open_virtual(&io, SFM_WRITE, &info, &file);
  if (out != nullptr) sf_close(out);
  return out != nullptr;
}

std::vector<AudioFileSpec> WritableSpecs(int channel_count) {
  std::vector<AudioFileSpec> specs;
  for (const int container : KnownCodes(SFC_GET_FORMAT_MAJOR_COUNT, SFC_GET_FORMAT_MAJOR)) {
    if (container == SF_FORMAT_RAW || container == SF_FORMAT_SD2) continue;
    for (const int encoding : KnownCodes(SFC_GET_FORMAT_SUBTYPE_COUNT, SFC_GET_FORMAT_SUBTYPE)) {
      if (encoding == SF_FORMAT_DWVW_12) continue;
      AudioFileSpec spec;
      spec.format = container | encoding;
      spec.channel_count = channel_count;
      if (container == SF_FORMAT_WVE) spec.sample_rate_hz = 8000;
      if (encoding == SF_FORMAT_OPUS) spec.sample_rate_hz = 48000;
      if (IsWritable(spec)) specs.push_back(spec);
    }
  }
  return specs;
}

std::string Patched(std::string bytes, size_t offset, absl::string_view replacement) {
  if (offset + replacement.size() > bytes.size()) throw std::out_of_range("the patch exceeds the file");
  return bytes.replace(offset, replacement.size(), replacement.data(), replacement.size());
}

absl::StatusOr<std::vector<float>> DecodeAll(absl::string_view bytes) {
  CULTURETAG_ASSIGN_OR_RETURN(const std::unique_ptr<Decoder> decoder, OpenEncoded(bytes));
  return ReadAll(*decoder);
}

absl::StatusOr<std::vector<float>> ReadAll(Decoder& decoder) {
  std::vector<float> samples;
  std::vector<float> piece(1777);
  while (true) {
    CULTURETAG_ASSIGN_OR_RETURN(const size_t count, decoder.Read(absl::MakeSpan(piece)));
    if (count == 0) return samples;
    samples.insert(samples.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

}  // namespace culturetag
