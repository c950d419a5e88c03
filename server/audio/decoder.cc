#include "audio/decoder.h"

#include <sndfile.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "audio/container_check.h"
#include "audio/known_formats.h"
#include "audio/samples.h"
#include "audio/virtual_file.h"
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

absl::Status UndecodableError() {
  return absl::InvalidArgumentError("the bytes are no audio file that can be decoded, or its header is damaged");
}

SF_VIRTUAL_IO FileCallbacks() {
  SF_VIRTUAL_IO io = {};
  io.get_filelen = [](void* self) -> sf_count_t { return static_cast<VirtualFile*>(self)->size(); };
  io.seek = [](sf_count_t offset, int whence, void* self) -> sf_count_t { return static_cast<VirtualFile*>(self)->Seek(offset, whence); };
  io.read = [](void* to, sf_count_t count, void* self) -> sf_count_t {
    return static_cast<VirtualFile*>(self)->Read(static_cast<char*>(to), count);
  };
  io.tell = [](void* self) -> sf_count_t { return static_cast<VirtualFile*>(self)->position(); };
  return io;
}

class SndfileDecoder final : public Decoder {
 public:
  // `backing` is what `file` reads from, if nobody else keeps it alive.
  explicit SndfileDecoder(std::unique_ptr<VirtualFile> file, std::shared_ptr<void> backing = nullptr)
      : backing_(std::move(backing)), source_(std::move(file)) {}
  ~SndfileDecoder() override {
    if (file_ != nullptr) sf_close(file_);
  }
  SndfileDecoder(const SndfileDecoder&) = delete;
  SndfileDecoder& operator=(const SndfileDecoder&) = delete;

  absl::Status Open() {
    SF_VIRTUAL_IO io = FileCallbacks();
    SF_INFO found = {};
    file_ = sf_open_virtual(&io, SFM_READ, &found, source_.get());
    CULTURETAG_RETURN_IF_ERROR(source_->status());
    if (file_ == nullptr) {
      // sf_strerror(nullptr) would say more, from a variable that all threads share.
      return UndecodableError();
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
    const bool is_promise = (found.format & SF_FORMAT_TYPEMASK) != SF_FORMAT_MPEG && !source_->view().open_ended;
    promised_frames_ = is_promise ? found.frames : SF_COUNT_MAX;
    info_.frame_count = promised_frames_ == SF_COUNT_MAX ? source_->view().frame_count : found.frames;
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
    CULTURETAG_RETURN_IF_ERROR(source_->status());
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
    mono = mono.subspan(0, static_cast<size_t>(got));
    AverageChannels(static_cast<size_t>(info_.channel_count), mono, [interleaved = block_.data()](size_t i) { return interleaved[i]; });
    if (!AllFinite(mono)) return absl::InvalidArgumentError("the audio contains samples that are not a number or infinite");
    return mono.size();
  }

 private:
  const std::shared_ptr<void> backing_;
  const std::unique_ptr<VirtualFile> source_;
  SNDFILE* file_ = nullptr;
  SourceInfo info_;
  sf_count_t promised_frames_ = 0;
  sf_count_t frames_read_ = 0;
  std::vector<float> block_;  // interleaved
};

// An MPEG file without its tags, and without what stands behind the last frame, which mpg123 would take for damage.
class MpegFrames final : public ByteSource {
 public:
  MpegFrames(ByteSource& source, std::string front) : source_(source), held_(std::move(front)) {}

  absl::StatusOr<size_t> Read(absl::Span<char> to) override {
    while (ready_ == 0 && !finished_) CULTURETAG_RETURN_IF_ERROR(Advance());
    const size_t count = std::min(to.size(), ready_);
    std::memcpy(to.data(), held_.data() + given_, count);
    given_ += count;
    ready_ -= count;
    return count;
  }

  // Reads as far as the first frame. False if this is no file for this class; what has been read is then in held().
  absl::StatusOr<bool> Start() {
    while (ready_ == 0 && !finished_ && !scanner_.other_format()) CULTURETAG_RETURN_IF_ERROR(Advance());
    return !scanner_.other_format();
  }

  std::string TakeHeld() { return std::move(held_); }

 private:
  static constexpr size_t kReadBytes = 1 << 16;
  static constexpr size_t kMaxHeldBytes = size_t{8} << 20;

  absl::Status Advance() {
    if (!ended_ && scanned_ == held_.size()) CULTURETAG_RETURN_IF_ERROR(ReadMore());
    CULTURETAG_ASSIGN_OR_RETURN(const size_t moved, scanner_.Scan(absl::string_view(held_).substr(scanned_), ended_));
    scanned_ += moved;
    Sort();
    if (moved > 0) return absl::OkStatus();
    if (!ended_) return ReadMore();
    finished_ = true;
    return scanner_.Finish();
  }

  // What is held: given away | ready | undecided. Tags in front of the first frame are dropped; so is what was given away.
  void Sort() {
    const uint64_t held_from = scanner_.position() - scanned_;  // in the file
    const bool started = scanner_.frames_end() > scanner_.frames_start();
    if (started && given_ == 0 && !started_) given_ = scanner_.frames_start() - held_from;
    started_ = started;
    // Another format behind a tag: without the tag, if parts of it are gone already.
    if (scanner_.other_format() && held_from > 0) held_.erase(0, std::exchange(scanned_, 0));
    ready_ = started ? std::max<uint64_t>(scanner_.frames_end(), held_from + given_) - held_from - given_ : 0;
    const size_t droppable = started ? given_ : scanner_.other_format() ? 0 : scanned_;
    if (droppable < kReadBytes) return;
    held_.erase(0, droppable);
    scanned_ -= droppable;
    given_ -= std::min(given_, droppable);
  }

  absl::Status ReadMore() {
    if (held_.size() > kMaxHeldBytes) return absl::InvalidArgumentError("more than 8 MiB between two frames of the MPEG file");
    const size_t before = held_.size();
    held_.resize(before + kReadBytes);
    const absl::StatusOr<size_t> read = source_.Read(absl::MakeSpan(&held_[before], kReadBytes));
    held_.resize(before + read.value_or(0));
    ended_ = read.ok() && *read == 0;
    return read.status();
  }

  ByteSource& source_;
  MpegScanner scanner_;
  std::string held_;
  size_t given_ = 0;    // of held_, what Read has returned, or what is not to be returned
  size_t ready_ = 0;    // behind that
  size_t scanned_ = 0;  // of held_
  bool started_ = false;
  bool ended_ = false;
  bool finished_ = false;
};

absl::StatusOr<std::unique_ptr<Decoder>> Opened(std::unique_ptr<SndfileDecoder> decoder) {
  CULTURETAG_RETURN_IF_ERROR(decoder->Open());
  return std::unique_ptr<Decoder>(std::move(decoder));
}

// Decodes `bytes`, which `backing` keeps alive.
absl::StatusOr<std::unique_ptr<Decoder>> OpenWhole(absl::string_view bytes, std::shared_ptr<void> backing) {
  if (bytes.empty()) return absl::InvalidArgumentError("the file is empty");
  if (!OpensLikeAudio(bytes)) return UndecodableError();
  CULTURETAG_ASSIGN_OR_RETURN(ContainerView view, CheckContainer(bytes));
  return Opened(std::make_unique<SndfileDecoder>(std::make_unique<MemoryFile>(bytes, std::move(view)), std::move(backing)));
}

absl::StatusOr<std::unique_ptr<Decoder>> OpenInOrder(ByteSource& source, std::string front, ContainerView view,
                                                     std::shared_ptr<void> backing) {
  auto file = std::make_unique<StreamFile>(source, std::move(front), std::move(view));
  StreamFile& stream = *file;
  CULTURETAG_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder,
                              Opened(std::make_unique<SndfileDecoder>(std::move(file), std::move(backing))));
  stream.StartForgetting();
  return decoder;
}

absl::StatusOr<std::unique_ptr<Decoder>> OpenSpooled(ByteSource& source, std::string front, const SpoolOptions& options) {
  CULTURETAG_ASSIGN_OR_RETURN(std::shared_ptr<SpoolFile> spool, SpoolFile::Create(options));
  std::vector<char> block(1 << 16);
  CULTURETAG_RETURN_IF_ERROR(spool->Append(front));
  while (true) {
    CULTURETAG_ASSIGN_OR_RETURN(const size_t read, source.Read(absl::MakeSpan(block)));
    if (read == 0) break;
    CULTURETAG_RETURN_IF_ERROR(spool->Append({block.data(), read}));
  }
  CULTURETAG_ASSIGN_OR_RETURN(const absl::string_view bytes, spool->Map());
  return OpenWhole(bytes, std::move(spool));
}

// mpg123 is told a length that no upload reaches: without a count in the first frame it takes the length for a guess, and
// stops there. What it looks for at the very end lies behind the bytes that may come.
ContainerView UnboundedView() {
  ContainerView view;
  view.size = size_t{1} << 39;
  view.claimed_size = int64_t{1} << 40;
  view.open_ended = true;
  return view;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Decoder>> OpenEncoded(absl::string_view bytes) { return OpenWhole(bytes, nullptr); }

absl::StatusOr<std::unique_ptr<Decoder>> OpenEncodedStream(ByteSource& source, const SpoolOptions& spool) {
  std::string front;
  ContainerView view;
  std::vector<char> block(1 << 12);
  StreamKind kind = StreamKind::kUndecided;
  size_t look_at = 0;  // each look costs as much as the front is long, so that it has to have grown
  while (kind == StreamKind::kUndecided) {
    CULTURETAG_ASSIGN_OR_RETURN(const size_t read, source.Read(absl::MakeSpan(block)));
    front.append(block.data(), read);
    if (read > 0 && front.size() < look_at) continue;
    look_at = front.size() + front.size() / 4;
    kind = InspectFront(front, read == 0, view);
    if (read == 0) {  // all of it is here, and small
      auto whole = std::make_shared<std::string>(std::move(front));
      return OpenWhole(*whole, whole);
    }
  }
  if (kind == StreamKind::kStream) return OpenInOrder(source, std::move(front), std::move(view), nullptr);
  if (kind == StreamKind::kWhole) return OpenSpooled(source, std::move(front), spool);
  auto frames = std::make_shared<MpegFrames>(source, std::move(front));
  CULTURETAG_ASSIGN_OR_RETURN(const bool is_mpeg, frames->Start());
  if (is_mpeg) return OpenInOrder(*frames, "", UnboundedView(), frames);
  return OpenSpooled(source, frames->TakeHeld(), spool);
}

}  // namespace culturetag
