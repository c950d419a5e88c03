#include "audio/decoder.h"

#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "audio/container_check.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// Frames a call to libsndfile: large enough that the call costs nothing beside the work, small enough for the cache.
constexpr sf_count_t kBlockFrames = 4096;

struct FormatName {
  int code;
  const char* name;
};

// The containers that may be decoded: all that libsndfile tells by their content. RAW has nothing to be told by, and SD2
// keeps its header in a second file, for which libsndfile would look on the disk.
constexpr FormatName kContainers[] = {
    {SF_FORMAT_WAV, "WAV"},   {SF_FORMAT_WAVEX, "WAVEX"}, {SF_FORMAT_RF64, "RF64"}, {SF_FORMAT_W64, "W64"},
    {SF_FORMAT_AIFF, "AIFF"}, {SF_FORMAT_AU, "AU"},       {SF_FORMAT_CAF, "CAF"},   {SF_FORMAT_FLAC, "FLAC"},
    {SF_FORMAT_OGG, "OGG"},   {SF_FORMAT_MPEG, "MPEG"},   {SF_FORMAT_PAF, "PAF"},   {SF_FORMAT_SVX, "SVX"},
    {SF_FORMAT_NIST, "NIST"}, {SF_FORMAT_VOC, "VOC"},     {SF_FORMAT_IRCAM, "IRCAM"}, {SF_FORMAT_MAT4, "MAT4"},
    {SF_FORMAT_MAT5, "MAT5"}, {SF_FORMAT_PVF, "PVF"},     {SF_FORMAT_XI, "XI"},     {SF_FORMAT_HTK, "HTK"},
    {SF_FORMAT_SDS, "SDS"},   {SF_FORMAT_AVR, "AVR"},     {SF_FORMAT_WVE, "WVE"},   {SF_FORMAT_MPC2K, "MPC2K"}};

constexpr FormatName kEncodings[] = {
    {SF_FORMAT_PCM_S8, "PCM_S8"},       {SF_FORMAT_PCM_16, "PCM_16"},       {SF_FORMAT_PCM_24, "PCM_24"},
    {SF_FORMAT_PCM_32, "PCM_32"},       {SF_FORMAT_PCM_U8, "PCM_U8"},       {SF_FORMAT_FLOAT, "FLOAT"},
    {SF_FORMAT_DOUBLE, "DOUBLE"},       {SF_FORMAT_ULAW, "ULAW"},           {SF_FORMAT_ALAW, "ALAW"},
    {SF_FORMAT_IMA_ADPCM, "IMA_ADPCM"}, {SF_FORMAT_MS_ADPCM, "MS_ADPCM"},   {SF_FORMAT_GSM610, "GSM610"},
    {SF_FORMAT_VOX_ADPCM, "VOX_ADPCM"}, {SF_FORMAT_G721_32, "G721_32"},     {SF_FORMAT_G723_24, "G723_24"},
    {SF_FORMAT_G723_40, "G723_40"},     {SF_FORMAT_NMS_ADPCM_16, "NMS_16"}, {SF_FORMAT_NMS_ADPCM_24, "NMS_24"},
    {SF_FORMAT_NMS_ADPCM_32, "NMS_32"}, {SF_FORMAT_DWVW_12, "DWVW_12"},     {SF_FORMAT_DWVW_16, "DWVW_16"},
    {SF_FORMAT_DWVW_24, "DWVW_24"},     {SF_FORMAT_DWVW_N, "DWVW_N"},       {SF_FORMAT_DPCM_8, "DPCM_8"},
    {SF_FORMAT_DPCM_16, "DPCM_16"},     {SF_FORMAT_VORBIS, "VORBIS"},       {SF_FORMAT_OPUS, "OPUS"},
    {SF_FORMAT_ALAC_16, "ALAC_16"},     {SF_FORMAT_ALAC_20, "ALAC_20"},     {SF_FORMAT_ALAC_24, "ALAC_24"},
    {SF_FORMAT_ALAC_32, "ALAC_32"}};

template <size_t N>
const char* NameOf(const FormatName (&names)[N], int code) {
  const auto has_code = [code](const FormatName& name) { return name.code == code; };
  const auto* const found = std::find_if(std::begin(names), std::end(names), has_code);
  return found == std::end(names) ? nullptr : found->name;
}

// "WAV/PCM_16", "MP3"; INVALID_ARGUMENT if the container isn't one of the above.
absl::StatusOr<std::string> NameOfFormat(int format) {
  const char* const container = NameOf(kContainers, format & SF_FORMAT_TYPEMASK);
  if (container == nullptr) {
    return absl::InvalidArgumentError("the bytes are no audio file that can be told by its content");
  }
  const int encoding = format & SF_FORMAT_SUBMASK;
  switch (encoding) {
    case SF_FORMAT_MPEG_LAYER_I:
      return std::string("MP1");
    case SF_FORMAT_MPEG_LAYER_II:
      return std::string("MP2");
    case SF_FORMAT_MPEG_LAYER_III:
      return std::string("MP3");
    default:
      break;
  }
  const char* const encoding_name = NameOf(kEncodings, encoding);
  return absl::StrCat(container, "/", encoding_name == nullptr ? "OTHER" : encoding_name);
}

// A read-only file in memory, as a ContainerView shows it, for libsndfile's callbacks. Positions beyond the end are legal,
// as in a file; reads there return nothing, but for the place at the end of the claimed size where mpg123 looks for an
// ID3v1 tag and takes a file that it can't read there for one without a length.
class MemoryFile {
 public:
  MemoryFile(absl::string_view bytes, ContainerView view) : bytes_(bytes.substr(0, view.size)), view_(std::move(view)) {}

  static SF_VIRTUAL_IO Callbacks() {
    SF_VIRTUAL_IO io = {};
    io.get_filelen = [](void* self) { return static_cast<MemoryFile*>(self)->Size(); };
    io.seek = [](sf_count_t offset, int whence, void* self) { return static_cast<MemoryFile*>(self)->Seek(offset, whence); };
    io.read = [](void* to, sf_count_t count, void* self) { return static_cast<MemoryFile*>(self)->Read(to, count); };
    io.tell = [](void* self) { return static_cast<MemoryFile*>(self)->position_; };
    return io;
  }

 private:
  static constexpr sf_count_t kId3v1Size = 128;

  sf_count_t Size() const { return view_.claimed_size; }

  sf_count_t Seek(sf_count_t offset, int whence) {
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position_ : Size();
    // Header fields reach this as they are: no sum may overflow, no position may be negative.
    sf_count_t target = 0;
    if (__builtin_add_overflow(base, offset, &target) || target < 0) return -1;
    position_ = target;
    return position_;
  }

  sf_count_t Read(void* to, sf_count_t count) {
    const auto size = static_cast<sf_count_t>(bytes_.size());
    if (position_ >= size && position_ == Size() - kId3v1Size && count == kId3v1Size) {
      std::memset(to, 0, kId3v1Size);
      return kId3v1Size;
    }
    const sf_count_t available = std::clamp<sf_count_t>(count, 0, std::max<sf_count_t>(size - position_, 0));
    if (available == 0) return 0;
    std::memcpy(to, bytes_.data() + position_, static_cast<size_t>(available));
    for (const BytePatch& patch : view_.patches) {
      for (size_t i = 0; i < patch.bytes.size(); ++i) {
        const sf_count_t index = static_cast<sf_count_t>(patch.offset + i) - position_;
        if (index >= 0 && index < available) static_cast<char*>(to)[index] = patch.bytes[i];
      }
    }
    position_ += available;
    return available;
  }

  const absl::string_view bytes_;
  const ContainerView view_;
  sf_count_t position_ = 0;
};

class SndfileDecoder final : public Decoder {
 public:
  SndfileDecoder(absl::string_view bytes, ContainerView view) : source_(bytes, std::move(view)) {}
  ~SndfileDecoder() override {
    if (file_ != nullptr) sf_close(file_);
  }
  SndfileDecoder(const SndfileDecoder&) = delete;
  SndfileDecoder& operator=(const SndfileDecoder&) = delete;

  absl::Status Open() {
    SF_VIRTUAL_IO io = MemoryFile::Callbacks();
    SF_INFO found = {};
    file_ = sf_open_virtual(&io, SFM_READ, &found, &source_);
    if (file_ == nullptr) {
      // sf_strerror(nullptr) would say more, from a variable that all threads share.
      return absl::InvalidArgumentError("the bytes are no audio file that can be decoded, or its header is damaged");
    }
    CULTURETAG_ASSIGN_OR_RETURN(info_.format, NameOfFormat(found.format));
    if (found.samplerate < kMinSampleRateHz || found.samplerate > kMaxSampleRateHz) {
      return absl::InvalidArgumentError(absl::StrFormat("the file's sample rate is %d Hz; it may be %d to %d",
                                                        found.samplerate, kMinSampleRateHz, kMaxSampleRateHz));
    }
    if (found.channels < 1 || found.channels > kMaxChannelCount) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the file has %d channels; it may have 1 to %d", found.channels, kMaxChannelCount));
    }
    info_.sample_rate_hz = found.samplerate;
    info_.channel_count = found.channels;
    // libsndfile's count of MPEG frames may be a guess; CheckMpeg has counted them. SF_COUNT_MAX: the header says nothing.
    const bool is_promise = (found.format & SF_FORMAT_TYPEMASK) != SF_FORMAT_MPEG;
    promised_frames_ = is_promise ? found.frames : SF_COUNT_MAX;
    block_.resize(static_cast<size_t>(kBlockFrames) * static_cast<size_t>(found.channels));
    return absl::OkStatus();
  }

  const SourceInfo& info() const override { return info_; }

  absl::StatusOr<size_t> Read(absl::Span<float> mono) override {
    // Never a frame more than promised: a decoder that looks beyond them takes a tag at the end of a file for damage.
    const sf_count_t wanted =
        std::min({kBlockFrames, static_cast<sf_count_t>(mono.size()), promised_frames_ - frames_read_});
    if (wanted <= 0) return 0;
    const sf_count_t got = sf_readf_float(file_, block_.data(), wanted);
    if (sf_error(file_) != SF_ERR_NO_ERROR) {
      const std::string promise = promised_frames_ == SF_COUNT_MAX ? "" : absl::StrCat(" of ", promised_frames_);
      return absl::InvalidArgumentError(absl::StrFormat("the %s file is damaged or cut after frame %d%s: %s", info_.format,
                                                        frames_read_, promise, sf_strerror(file_)));
    }
    if (got < wanted && promised_frames_ != SF_COUNT_MAX) {
      return TruncatedError(info_.format, static_cast<uint64_t>(frames_read_ + got), static_cast<uint64_t>(promised_frames_),
                            "frames");
    }
    frames_read_ += got;
    return AverageChannels(static_cast<size_t>(got), mono);
  }

 private:
  absl::StatusOr<size_t> AverageChannels(size_t frame_count, absl::Span<float> mono) const {
    const auto channels = static_cast<size_t>(info_.channel_count);
    for (size_t frame = 0; frame < frame_count; ++frame) {
      double sum = 0;  // so that loud channels don't overflow
      for (size_t channel = 0; channel < channels; ++channel) sum += block_[frame * channels + channel];
      mono[frame] = static_cast<float>(sum / static_cast<double>(channels));
      if (!std::isfinite(mono[frame])) {
        return absl::InvalidArgumentError("the audio contains samples that are not a number or infinite");
      }
    }
    return frame_count;
  }

  MemoryFile source_;  // libsndfile keeps its address
  SNDFILE* file_ = nullptr;
  SourceInfo info_;
  sf_count_t promised_frames_ = 0;
  sf_count_t frames_read_ = 0;
  std::vector<float> block_;  // interleaved
};

}  // namespace

absl::StatusOr<std::unique_ptr<Decoder>> OpenEncoded(absl::string_view bytes) {
  if (bytes.empty()) return absl::InvalidArgumentError("the file is empty");
  CULTURETAG_ASSIGN_OR_RETURN(ContainerView view, CheckContainer(bytes));
  auto decoder = std::make_unique<SndfileDecoder>(bytes, std::move(view));
  CULTURETAG_RETURN_IF_ERROR(decoder->Open());
  return std::unique_ptr<Decoder>(std::move(decoder));
}

}  // namespace culturetag
