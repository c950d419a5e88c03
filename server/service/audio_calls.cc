#include "service/active_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_details.h"

namespace culturetag {
namespace {

// A refused client shouldn't come back before a decoder has had the time to finish a clip.
constexpr absl::Duration kDecoderRetryDelay = absl::Milliseconds(200);
// Nor before another stream may have ended.
constexpr absl::Duration kStreamRetryDelay = absl::Seconds(5);

}  // namespace

absl::Status Tagger::BytesCall::StartDecoding() {
  if (tagger_.decoders_.TrySchedule([self = shared_from_this(), this] { Decode(); })) return absl::OkStatus();
  tagger_.metrics_.RecordRejected(RejectReason::kQueueFull);
  return RetryLater("too many requests wait for a decoder", kDecoderRetryDelay);
}

void Tagger::BytesCall::ContinueDecoding() {
  tagger_.decoders_.Continue([self = shared_from_this(), this] { Decode(); });
}

absl::StatusOr<std::unique_ptr<Decoder>> Tagger::BytesCall::OpenAudio() {
  return audio_.pcm ? OpenPcm(*audio_.pcm, audio_.audio) : OpenEncoded(audio_.audio);
}

absl::Status Tagger::BytesCall::WithField(absl::Status status, bool) const {
  return WithFieldPrefix(std::move(status), audio_.pcm ? "audio.pcm" : "audio.encoded");
}

template <typename Done>
void Tagger::StreamCall::Await(const Done& done) {
  while (!failure_.has_value() && !done()) {
    const auto news = [this, seen = progress_] {
      return failure_.has_value() || progress_ != seen;
    };
    const absl::Duration idle = tagger_.options_.stream_idle_timeout;
    if (tagger_.clock_.AwaitUntil(mutex_, absl::Condition(&news), tagger_.clock_.Now() + idle) || held_ == 0) continue;
    mutex_.Unlock();
    Fail(absl::DeadlineExceededError(absl::StrCat("the client took no result for ", absl::FormatDuration(idle))),
         WasteReason::kExpired);
    mutex_.Lock();
  }
}

void Tagger::StreamCall::WindowSent() {
  EnterThread();
  ReleaseWindow();
  Leave();
}

absl::Status Tagger::StreamCall::StartDecoding() {
  const auto run = [self = shared_from_this(), this] {
    EnterThread();
    Decode();
    AwaitLast();
    Leave();
  };
  if (tagger_.streams_.TryStart(run)) return absl::OkStatus();
  tagger_.metrics_.RecordRejected(RejectReason::kQueueFull);
  return RetryLater(absl::StrCat("there are ", tagger_.options_.max_streams, " streams; no more fit (--max_streams)"),
                    kStreamRetryDelay);
}

absl::StatusOr<std::unique_ptr<Decoder>> Tagger::StreamCall::OpenAudio() {
  if (pcm_.has_value()) return OpenPcmStream(*pcm_, upload_);
  return OpenEncodedStream(upload_, {tagger_.options_.spool_folder, &tagger_.spool_budget_});
}

absl::Status Tagger::StreamCall::WithField(absl::Status status, bool opened) const {
  if (pcm_.has_value() && !opened) return WithFieldPrefix(std::move(status), "config.pcm");
  if (!absl::IsInvalidArgument(status)) return status;
  if (pcm_.has_value() && FieldOf(status).has_value()) return InvalidField("data", status.message());
  return WithFieldPrefix(std::move(status), "data");
}

bool Tagger::StreamCall::HasRoom() {
  Await([this] { return ActiveCall::HasRoom(); });
  return ActiveCall::HasRoom();
}

void Tagger::StreamCall::AwaitLast() {
  absl::MutexLock lock(&mutex_);
  Await([this] { return in_flight_ == 0; });
}

}  // namespace culturetag
