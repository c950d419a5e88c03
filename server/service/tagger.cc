#include "service/tagger.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "audio/resampler.h"
#include "audio/windower.h"
#include "base/error_details.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// Decoded in blocks of this many frames: small enough to notice a cancellation, large enough not to matter.
constexpr size_t kBlockFrames = 16384;

// A refused client shouldn't come back before a decoder has had the time to finish a clip.
constexpr absl::Duration kDecoderRetryDelay = absl::Milliseconds(200);

// Samples near the largest float overflow in the resampler's filter, though each of them is finite.
absl::Status CheckFinite(const std::vector<float>& samples) {
  if (std::all_of(samples.begin(), samples.end(), [](float sample) { return std::isfinite(sample); })) return absl::OkStatus();
  return absl::InvalidArgumentError("the audio is too loud to be resampled; samples should be within -1 and 1");
}

absl::Duration SamplesToDuration(int64_t samples, int rate_hz) { return absl::Seconds(1) * samples / rate_hz; }

}  // namespace

// The life of a request, from top to bottom. Start runs on the caller's thread, Decode on a decoding thread, Score's
// callback on the device's; each hands over to the next, so that nothing but `Cancel` runs beside them.
class Tagger::ActiveCall final : public Call, public std::enable_shared_from_this<ActiveCall> {
 public:
  ActiveCall(Tagger& tagger, TagRequest request, Callback callback)
      : tagger_(tagger), request_(std::move(request)), callback_(std::move(callback)), arrival_(tagger.clock_.Now()) {}

  // 1. Checks all that can be checked without the audio, and queues the decoding.
  void Start() {
    if (const absl::Status status = Validate(); !status.ok()) return End(status);
    const bool queued = tagger_.decoders_.TrySchedule([self = shared_from_this()] { self->DecodeAndScore(); });
    if (queued) return;
    tagger_.metrics_.RecordRejected(RejectReason::kQueueFull);
    End(RetryLater("too many requests wait for a decoder", kDecoderRetryDelay));
  }

  void Cancel(WasteReason reason, absl::Status status) override {
    std::shared_ptr<WindowBatcher::Submission> submission;
    {
      absl::MutexLock lock(&mutex_);
      if (cancelled_.has_value()) return;
      cancelled_ = Cancellation{reason, status};
      submission = submission_;
    }
    if (submission != nullptr) tagger_.batcher_.Cancel(submission, reason, std::move(status));
  }

 private:
  struct Cancellation {
    WasteReason reason;
    absl::Status status;
  };

  absl::Status Validate() {
    CULTURETAG_ASSIGN_OR_RETURN(model_, tagger_.FindModel(request_.model));
    CULTURETAG_ASSIGN_OR_RETURN(selection_.heads, ResolveHeads(spec(), request_.heads));
    if (request_.top_k < 0) {
      return InvalidField("top_k", absl::StrCat("top_k is ", request_.top_k, "; it may be 0, for all tags, or more"));
    }
    if (!(request_.min_score >= 0 && request_.min_score <= 1)) {
      return InvalidField("min_score", absl::StrCat("min_score is ", request_.min_score, "; it may be 0 to 1"));
    }
    selection_.top_k = request_.top_k;
    selection_.min_score = request_.min_score;
    return absl::OkStatus();
  }

  void DecodeAndScore() {
    std::vector<Window> windows;
    if (const absl::Status status = Decode(windows); !status.ok()) return End(status);
    Score(std::move(windows));
  }

  // 2. Bytes -> mono samples -> the model's rate -> windows, block by block.
  absl::Status Decode(std::vector<Window>& windows) {
    const absl::Time start = tagger_.clock_.Now();
    absl::Duration resampling;
    const absl::Status status = WithFieldPrefix(DecodeBlocks(windows, resampling), request_.pcm ? "audio.pcm" : "audio.encoded");
    result_.timing.decode = tagger_.clock_.Now() - start;
    tagger_.metrics_.RecordStage(Stage::kDecode, result_.timing.decode - resampling);
    tagger_.metrics_.RecordStage(Stage::kResample, resampling);
    if (absl::IsInvalidArgument(status)) {
      tagger_.metrics_.RecordRejected(too_long_ ? RejectReason::kTooLong : RejectReason::kBadAudio);
    }
    return status;
  }

  absl::Status DecodeBlocks(std::vector<Window>& windows, absl::Duration& resampling) {
    CULTURETAG_RETURN_IF_ERROR(CheckCancelled());
    CULTURETAG_ASSIGN_OR_RETURN(const std::unique_ptr<Decoder> decoder,
                                request_.pcm ? OpenPcm(*request_.pcm, request_.audio) : OpenEncoded(request_.audio));
    result_.source = decoder->info();
    const int source_rate = result_.source.sample_rate_hz;
    CULTURETAG_ASSIGN_OR_RETURN(const std::unique_ptr<Resampler> resampler,
                                Resampler::Create(source_rate, spec().sample_rate_hz));
    Windower windower({spec().window_samples, spec().hop_samples, spec().min_clip_samples});

    std::array<float, kBlockFrames> block;
    std::vector<float> resampled;
    int64_t frames = 0;
    for (bool more = true; more;) {
      CULTURETAG_RETURN_IF_ERROR(CheckCancelled());
      CULTURETAG_ASSIGN_OR_RETURN(const size_t read, decoder->Read(absl::MakeSpan(block)));
      more = read > 0;
      frames += static_cast<int64_t>(read);
      result_.audio_duration = SamplesToDuration(frames, source_rate);
      CULTURETAG_RETURN_IF_ERROR(CheckDuration());

      const absl::Time start = tagger_.clock_.Now();
      resampled.clear();
      CULTURETAG_RETURN_IF_ERROR(more ? resampler->Process(absl::MakeConstSpan(block.data(), read), resampled)
                                      : resampler->Finish(resampled));
      CULTURETAG_RETURN_IF_ERROR(CheckFinite(resampled));
      windower.Push(resampled, windows);
      resampling += tagger_.clock_.Now() - start;
    }
    CULTURETAG_RETURN_IF_ERROR(windower.Finish(windows));
    result_.window_count = static_cast<int>(windows.size());
    return absl::OkStatus();
  }

  absl::Status CheckDuration() {
    if (result_.audio_duration <= tagger_.options_.max_audio_duration) return absl::OkStatus();
    too_long_ = true;
    return absl::InvalidArgumentError(absl::StrCat("the audio is longer than ",
                                                   absl::FormatDuration(tagger_.options_.max_audio_duration),
                                                   ", the most that this server takes in one request"));
  }

  // 3. Windows -> the queue -> the device.
  void Score(std::vector<Window> windows) {
    ScoringWork work;
    work.model = model_;
    work.client = request_.client;
    work.priority = request_.priority;
    work.deadline = request_.deadline;
    for (Window& window : windows) {
      window_starts_.push_back(window.start);
      work.windows.push_back(std::move(window.samples));
    }
    window_samples_ = static_cast<int64_t>(work.windows.front().size());
    RejectReason reject = RejectReason::kQueueFull;
    auto submission = tagger_.batcher_.Submit(
        std::move(work),
        [self = shared_from_this()](absl::StatusOr<ScoringResult> scored) { self->Finish(std::move(scored)); }, &reject);
    if (!submission.ok()) {
      tagger_.metrics_.RecordRejected(reject);
      return End(submission.status());
    }
    absl::optional<Cancellation> cancelled;
    {
      absl::MutexLock lock(&mutex_);
      submission_ = *submission;
      cancelled = cancelled_;
    }
    if (cancelled.has_value()) tagger_.batcher_.Cancel(*submission, cancelled->reason, cancelled->status);
  }

  // 4. Scores -> the mean over windows -> tags.
  void Finish(absl::StatusOr<ScoringResult> scored) {
    if (!scored.ok()) return End(scored.status());
    const absl::Time start = tagger_.clock_.Now();
    ScoreMean mean(spec().label_count());
    for (size_t i = 0; i < scored->outputs.size(); ++i) {
      mean.Add(scored->outputs[i].scores);
      if (!request_.include_windows) continue;
      result_.windows.push_back({SamplesToDuration(window_starts_[i], spec().sample_rate_hz),
                                 SamplesToDuration(window_samples_, spec().sample_rate_hz),
                                 SelectTags(spec(), scored->outputs[i].scores, selection_)});
    }
    result_.heads = SelectTags(spec(), mean.Mean(), selection_);
    result_.model = &spec();
    result_.timing.queue = scored->queue;
    result_.timing.inference = scored->inference;
    tagger_.metrics_.RecordStage(Stage::kQueue, scored->queue);
    tagger_.metrics_.RecordStage(Stage::kInference, scored->inference);
    tagger_.metrics_.RecordStage(Stage::kAggregate, tagger_.clock_.Now() - start);
    End(absl::OkStatus());
  }

  // The one way out. The callback may free the audio; Leave may let the tagger go, so that it comes last.
  void End(const absl::Status& status) {
    result_.timing.total = tagger_.clock_.Now() - arrival_;
    if (status.ok()) {
      std::move(callback_)(std::move(result_));
    } else {
      std::move(callback_)(status);
    }
    tagger_.Leave();
  }

  absl::Status CheckCancelled() {
    if (tagger_.cut_off_) return absl::UnavailableError("the server shut down before the audio was decoded");
    absl::MutexLock lock(&mutex_);
    return cancelled_.has_value() ? cancelled_->status : absl::OkStatus();
  }

  const ModelSpec& spec() const { return tagger_.models_[static_cast<size_t>(model_)]->spec(); }

  Tagger& tagger_;
  const TagRequest request_;
  Callback callback_;
  const absl::Time arrival_;
  int model_ = 0;
  TagSelection selection_;
  bool too_long_ = false;
  std::vector<int64_t> window_starts_;
  int64_t window_samples_ = 0;
  TagResult result_;

  absl::Mutex mutex_;
  absl::optional<Cancellation> cancelled_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<WindowBatcher::Submission> submission_ ABSL_GUARDED_BY(mutex_);  // once it is queued
};

Tagger::Tagger(const Options& options, std::vector<TaggingModel*> models, WorkerPool& decoders, WindowBatcher& batcher,
               Clock& clock, Metrics& metrics)
    : options_(options), models_(std::move(models)), decoders_(decoders), batcher_(batcher), clock_(clock), metrics_(metrics) {}

std::shared_ptr<Tagger::Call> Tagger::Tag(TagRequest request, Callback callback) {
  if (!Enter()) {
    metrics_.RecordRejected(RejectReason::kDraining);
    std::move(callback)(absl::UnavailableError("the server is shutting down; try another replica"));
    return nullptr;
  }
  auto call = std::make_shared<ActiveCall>(*this, std::move(request), std::move(callback));
  call->Start();
  return call;
}

bool Tagger::Drain(absl::Time deadline) {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    if (clock_.AwaitUntil(mutex_, absl::Condition(this, &Tagger::NoneActive), deadline)) return true;
  }
  cut_off_ = true;
  batcher_.Drain(clock_.Now());
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Tagger::NoneActive));
  return false;
}

absl::StatusOr<int> Tagger::FindModel(absl::string_view name) const {
  if (name.empty()) return 0;
  std::vector<std::string> names;
  for (const TaggingModel* model : models_) {
    if (model->spec().name == name) return static_cast<int>(names.size());
    names.push_back(model->spec().name);
  }
  return absl::NotFoundError(absl::StrCat("there is no model '", name, "'; there are: ", absl::StrJoin(names, ", ")));
}

bool Tagger::Enter() {
  absl::MutexLock lock(&mutex_);
  if (!draining_) ++active_calls_;
  return !draining_;
}

void Tagger::Leave() {
  absl::MutexLock lock(&mutex_);
  --active_calls_;
}

}  // namespace culturetag
