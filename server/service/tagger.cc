#include "service/tagger.h"

#include <algorithm>
#include <utility>

#include "base/error_details.h"
#include "base/sample_time.h"
#include "base/status_macros.h"
#include "service/active_call.h"

namespace culturetag {

// --- The life of a request, from top to bottom ---

Tagger::ActiveCall::ActiveCall(Tagger& tagger, CallOptions options, std::unique_ptr<WindowSink> sink)
    : tagger_(tagger), options_(std::move(options)), sink_(std::move(sink)), arrival_(tagger.clock_.Now()) {}

// 1. Checks all that can be checked without the audio, and has the decoding begin; or ends with `status` if that is an
// error.
void Tagger::ActiveCall::Start(absl::Status status) {
  if (status.ok()) status = Validate();
  if (status.ok()) status = StartDecoding();
  if (status.ok()) return;
  Fail(std::move(status), WasteReason::kCancelled);
  Leave();
}

// The other way to end.
void Tagger::ActiveCall::Fail(absl::Status status, WasteReason reason) {
  std::shared_ptr<WindowBatcher::Submission> submission;
  {
    absl::MutexLock lock(&mutex_);
    if (failure_.has_value() || ended_) return;
    failure_ = status;
    waste_reason_ = reason;
    submission = submission_;
    ++active_;
  }
  if (submission != nullptr) tagger_.batcher_.Cancel(submission, reason, status);
  StopReading(std::move(status));
  Leave();
}

// 2. Bytes -> mono samples -> the model's rate -> windows, block by block, as long as there is room for them.
void Tagger::ActiveCall::Decode() {
  while (MayDecode()) {
    const absl::StatusOr<bool> more = DecodeBlock();
    if (!more.ok()) {
      CountRejection(more.status());
      Fail(more.status(), WasteReason::kCancelled);
    } else if (!*more) {
      EndOfAudio();
      break;
    }
  }
  Leave();
}

// A window's result has left: there is room for another.
void Tagger::ActiveCall::ReleaseWindow() {
  bool resume = false;
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    --in_flight_;
    --tagger_.windows_in_flight_;
    if (sink_->holds_windows()) --held_;
    ++progress_;
    resume = parked_ && !failure_.has_value() && tagger_.HasRoom(*model_, in_flight_);
    if (resume) {
      parked_ = false;
      ++active_;
    }
  }
  if (resume) ContinueDecoding();
}

// The call ends when the last thread that entered leaves and nothing is left to do.
void Tagger::ActiveCall::EnterThread() {
  absl::MutexLock lock(&mutex_);
  ++active_;
}
void Tagger::ActiveCall::Leave() {
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    const bool done = failure_.has_value() || (all_read_ && in_flight_ == 0);
    if (--active_ > 0 || !done || ended_) return;
    ended_ = true;
    tagger_.windows_in_flight_ -= in_flight_;
    if (failure_.has_value()) status = *failure_;
  }
  End(status);
}

absl::Status Tagger::ActiveCall::Validate() {
  model_ = options_.version;
  if (model_ == nullptr) {
    CULTURETAG_ASSIGN_OR_RETURN(model_, tagger_.FindModel(options_.model));
  }
  return sink_->Prepare(spec());
}

bool Tagger::ActiveCall::MayDecode() {
  absl::MutexLock lock(&mutex_);
  const bool room = HasRoom();
  parked_ = !room && !failure_.has_value();
  return room && !failure_.has_value();
}

// False at the end of the audio.
absl::StatusOr<bool> Tagger::ActiveCall::DecodeBlock() {
  const absl::Time start = tagger_.clock_.Now();
  const absl::Duration waited = waiting_for_audio();
  std::vector<Window> windows;
  absl::StatusOr<bool> more = OpenAndRead(windows);
  result_.timing.decode += tagger_.clock_.Now() - start - (waiting_for_audio() - waited);
  if (!more.ok()) return WithField(more.status(), reader_ != nullptr);
  if (!windows.empty()) CULTURETAG_RETURN_IF_ERROR(Score(std::move(windows)));
  return more;
}

absl::StatusOr<bool> Tagger::ActiveCall::OpenAndRead(std::vector<Window>& windows) {
  if (reader_ == nullptr) {
    CULTURETAG_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder, OpenAudio());
    const WindowShape shape = {spec().window_samples, spec().hop_samples, spec().min_clip_samples};
    CULTURETAG_ASSIGN_OR_RETURN(reader_, WindowReader::Create({spec().sample_rate_hz, shape, max_duration()},
                                                              std::move(decoder), tagger_.clock_));
    CULTURETAG_RETURN_IF_ERROR(CheckAdmission());
  }
  return reader_->Read(windows);
}

void Tagger::ActiveCall::CountRejection(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return;
  tagger_.metrics_.RecordRejected(IsTooLong(status) ? RejectReason::kTooLong : RejectReason::kBadAudio);
}

void Tagger::ActiveCall::EndOfAudio() {
  result_.source = reader_->source();
  result_.audio_duration = reader_->duration();
  tagger_.metrics_.RecordStage(Stage::kDecode, result_.timing.decode - reader_->resampling_time());
  tagger_.metrics_.RecordStage(Stage::kResample, reader_->resampling_time());
  tagger_.batcher_.Close(submission_);  // There is one: a source without a window is an error.
  absl::MutexLock lock(&mutex_);
  all_read_ = true;
}

// 3. Windows -> the queue -> the device.
absl::Status Tagger::ActiveCall::Score(std::vector<Window> windows) {
  if (submission_ == nullptr) CULTURETAG_RETURN_IF_ERROR(OpenSubmission(windows.front().samples.size()));
  std::vector<std::vector<float>> samples;
  {
    absl::MutexLock lock(&mutex_);
    for (Window& window : windows) {
      window_starts_.push_back(window.start);
      samples.push_back(std::move(window.samples));
    }
    in_flight_ += static_cast<int64_t>(samples.size());
    tagger_.windows_in_flight_ += static_cast<int64_t>(samples.size());
  }
  tagger_.batcher_.Push(submission_, std::move(samples));
  return absl::OkStatus();
}

// What the queue would refuse isn't worth decoding.
absl::Status Tagger::ActiveCall::CheckAdmission() {
  RejectReason reject = RejectReason::kQueueFull;
  const auto window = static_cast<size_t>(spec().window_samples);
  const absl::Status status = tagger_.batcher_.WouldAdmit(MakeScoringRequest(window), &reject);
  if (!status.ok()) tagger_.metrics_.RecordRejected(reject);
  return status;
}

ScoringRequest Tagger::ActiveCall::MakeScoringRequest(size_t window_samples) const {
  ScoringRequest request;
  request.model = model_->slot;
  request.window_samples = window_samples;
  request.client = options_.client;
  request.priority = options_.priority;
  request.deadline = options_.deadline;
  request.hidden_states = sink_->wants_hidden_states();
  if (!is_stream()) request.expected_windows = reader_->expected_windows().value_or(1);
  request.length_known = reader_->expected_windows().has_value();
  return request;
}

absl::Status Tagger::ActiveCall::OpenSubmission(size_t window_samples) {
  window_audio_ = SamplesToDuration(static_cast<int64_t>(window_samples), spec().sample_rate_hz);
  RejectReason reject = RejectReason::kQueueFull;
  const auto scored = [self = shared_from_this()](absl::StatusOr<ScoredWindow> window) { self->TakeScored(std::move(window)); };
  auto submission = tagger_.batcher_.Open(MakeScoringRequest(window_samples), scored, &reject);
  if (!submission.ok()) {
    tagger_.metrics_.RecordRejected(reject);
    return submission.status();
  }
  absl::optional<absl::Status> failure;
  WasteReason reason = WasteReason::kCancelled;
  {
    absl::MutexLock lock(&mutex_);
    submission_ = *std::move(submission);
    failure = failure_;
    reason = waste_reason_;
  }
  if (failure.has_value()) tagger_.batcher_.Cancel(submission_, reason, *failure);
  return absl::OkStatus();
}

// 4. Scores -> the sink, in order. They come from the device's thread, in the order in which they are ready.
void Tagger::ActiveCall::TakeScored(absl::StatusOr<ScoredWindow> scored) {
  if (!scored.ok()) return Fail(scored.status(), WasteReason::kCancelled);
  {
    absl::MutexLock lock(&mutex_);
    const int64_t index = scored->index;
    early_.emplace(index, *std::move(scored));
    if (delivering_) return;  // Whoever delivers takes it, too.
    delivering_ = true;
    ++active_;
  }
  while (DeliverNext()) {
  }
  Leave();
}

bool Tagger::ActiveCall::DeliverNext() {
  ScoredWindow window;
  int64_t start = 0;
  {
    absl::MutexLock lock(&mutex_);
    const auto next = early_.find(result_.window_count);
    delivering_ = next != early_.end() && !failure_.has_value();
    if (!delivering_) return false;
    window = std::move(next->second);
    early_.erase(next);
    start = window_starts_.front();
    window_starts_.pop_front();
    if (sink_->holds_windows()) ++held_;
    ++progress_;
  }
  if (result_.window_count++ == 0) {
    first_taken_ = window.taken;
    result_.timing.queue = window.queue;
  }
  result_.timing.inference = tagger_.clock_.Now() - first_taken_;
  const absl::Time now = tagger_.clock_.Now();
  sink_->Take(SamplesToDuration(start, spec().sample_rate_hz), window_audio_, std::move(window.output));
  aggregation_ += tagger_.clock_.Now() - now;
  if (!sink_->holds_windows()) ReleaseWindow();
  return true;
}

// 5. The one way out. The sink's callback may free the audio; Leave may let the tagger go, so that it comes last.
void Tagger::ActiveCall::End(const absl::Status& status) {
  reader_.reset();  // what it holds, a spooled file for one, is given back before the tagger may go
  result_.timing.total = tagger_.clock_.Now() - arrival_;
  if (status.ok()) {
    result_.model = model_->spec;
    tagger_.metrics_.RecordStage(Stage::kQueue, result_.timing.queue);
    tagger_.metrics_.RecordStage(Stage::kInference, result_.timing.inference);
    tagger_.metrics_.RecordStage(Stage::kAggregate, aggregation_);
    sink_->End(std::move(result_));
  } else {
    sink_->End(status);
  }
  tagger_.Leave(*this);
}

// --- The tagger ---

Tagger::Tagger(const Options& options, const std::vector<const TaggingModel*>& models, WorkerPool& decoders, WindowBatcher& batcher,
               Clock& clock, Metrics& metrics)
    : options_(options),
      models_(models),
      decoders_(decoders),
      batcher_(batcher),
      clock_(clock),
      metrics_(metrics),
      spool_budget_(options.max_spool_bytes),
      streams_(options.max_streams) {}

std::shared_ptr<Tagger::Call> Tagger::Tag(TagRequest request, TagCallback callback) {
  auto sink = MakeTagSink(request, std::move(callback));
  auto call = std::make_shared<BytesCall>(*this, request, request, std::move(sink));
  Enter(call);
  return call;
}

std::shared_ptr<Tagger::Call> Tagger::Embed(EmbedRequest request, EmbedCallback callback) {
  auto sink = MakeEmbedSink(request.include_windows, std::move(callback));
  auto call = std::make_shared<BytesCall>(*this, request, request, std::move(sink));
  Enter(call);
  return call;
}

std::shared_ptr<Tagger::Stream> Tagger::TagStream(StreamRequest request, StreamListener& listener) {
  auto call = std::make_shared<StreamCall>(*this, std::move(request), listener);
  Enter(call);
  return call;
}

bool Tagger::Drain(absl::Time deadline) {
  std::vector<std::shared_ptr<ActiveCall>> cut_off;
  batcher_.HurryUp();
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    if (clock_.AwaitUntil(mutex_, absl::Condition(this, &Tagger::NoneActive), deadline)) return true;
    cut_off.assign(calls_.rbegin(), calls_.rend());  // the latest has the least to lose
  }
  for (const auto& call : cut_off) {
    call->Fail(absl::UnavailableError("the server shut down before the audio was scored"), WasteReason::kCancelled);
  }
  cut_off.clear();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Tagger::NoneActive));
  return false;
}

// All calls together fill four batches: one on the device, one that is staged, and two in the queue, since a batch that a clip
// leads takes from a track's windows what they would have filled the next one with. And each may have two windows whatever
// the others have: so none waits for another, and what all of them hold is bounded.
bool Tagger::HasRoom(const ServedModel& model, int64_t in_flight) const {
  constexpr int64_t kBatches = 4;
  constexpr int64_t kEach = 2;
  return in_flight < kEach || windows_in_flight_ < kBatches * batcher_.max_batch_windows(model.slot);
}

void Tagger::Enter(const std::shared_ptr<ActiveCall>& call) {
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (draining_) status = absl::UnavailableError("the server is shutting down; try another replica");
    call->place = calls_.insert(calls_.end(), call);
  }
  if (!status.ok()) metrics_.RecordRejected(RejectReason::kDraining);
  call->Start(std::move(status));
}

void Tagger::Leave(ActiveCall& call) {
  std::shared_ptr<ActiveCall> last;  // lets go of it without the lock
  absl::MutexLock lock(&mutex_);
  last = std::move(*call.place);
  calls_.erase(call.place);
}

}  // namespace culturetag
