#include "audio/window_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "audio/samples.h"
#include "base/sample_time.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// Small enough to notice a cancellation and to hold little, large enough that calls cost nothing beside the work.
constexpr size_t kBlockFrames = 16384;

constexpr char kTooLongUrl[] = "culturetag.dev/audio-too-long";

absl::Status TooLong(absl::Duration max_duration) {
  absl::Status status = absl::InvalidArgumentError(absl::StrCat(
      "the audio is longer than ", absl::FormatDuration(max_duration), ", the most that this server takes in one request"));
  status.SetPayload(kTooLongUrl, absl::Cord());
  return status;
}

// Samples near the largest float overflow in the resampler's filter, though each of them is finite.
absl::Status CheckFinite(const std::vector<float>& samples) {
  if (AllFinite(samples)) return absl::OkStatus();
  return absl::InvalidArgumentError("the audio is too loud to be resampled; samples should be within -1 and 1");
}

}  // namespace

absl::StatusOr<std::unique_ptr<WindowReader>> WindowReader::Create(const Options& options, std::unique_ptr<Decoder> decoder,
                                                                   Clock& clock) {
  const SourceInfo& source = decoder->info();
  if (SamplesToDuration(source.frame_count, source.sample_rate_hz) > options.max_duration) {
    return TooLong(options.max_duration);
  }
  CULTURETAG_ASSIGN_OR_RETURN(std::unique_ptr<Resampler> resampler,
                              Resampler::Create(source.sample_rate_hz, options.sample_rate_hz));
  return std::unique_ptr<WindowReader>(new WindowReader(options, std::move(decoder), std::move(resampler), clock));
}

WindowReader::WindowReader(const Options& options, std::unique_ptr<Decoder> decoder, std::unique_ptr<Resampler> resampler,
                           Clock& clock)
    : options_(options),
      decoder_(std::move(decoder)),
      resampler_(std::move(resampler)),
      clock_(clock),
      windower_(options.shape),
      block_(std::min(kBlockFrames, static_cast<size_t>(decoder_->info().sample_rate_hz))) {}

absl::StatusOr<bool> WindowReader::Read(std::vector<Window>& windows) {
  CULTURETAG_ASSIGN_OR_RETURN(const size_t read, decoder_->Read(absl::MakeSpan(block_)));
  const bool more = read > 0;
  frames_ += static_cast<int64_t>(read);
  if (duration() > options_.max_duration) return TooLong(options_.max_duration);

  const absl::Time start = clock_.Now();
  resampled_.clear();
  CULTURETAG_RETURN_IF_ERROR(more ? resampler_->Process(absl::MakeConstSpan(block_.data(), read), resampled_)
                                  : resampler_->Finish(resampled_));
  CULTURETAG_RETURN_IF_ERROR(CheckFinite(resampled_));
  windower_.Push(resampled_, windows);
  if (!more) CULTURETAG_RETURN_IF_ERROR(windower_.Finish(windows));
  resampling_time_ += clock_.Now() - start;
  return more;
}

absl::Duration WindowReader::duration() const { return SamplesToDuration(frames_, source().sample_rate_hz); }

absl::optional<int64_t> WindowReader::expected_windows() const {
  if (source().frame_count <= 0) return absl::nullopt;
  const double ratio = static_cast<double>(options_.sample_rate_hz) / source().sample_rate_hz;
  return WindowCount(options_.shape, std::llround(static_cast<double>(source().frame_count) * ratio));
}

bool IsTooLong(const absl::Status& status) { return status.GetPayload(kTooLongUrl).has_value(); }

}  // namespace culturetag
