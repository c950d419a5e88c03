#include "service/tag_stream_reactor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_details.h"
#include "grpcpp/alarm.h"
#include "service/proto_convert.h"

namespace culturetag {

// What the alarm's callback, which may come late, shares with the timer. The timer isn't part of it: gRPC keeps the callback
// as long as the alarm.
struct TagStreamReactor::Timer {
  struct State {
    absl::Mutex mutex;
    TagStreamReactor* reactor ABSL_GUARDED_BY(mutex);
  };

  Timer(TagStreamReactor& reactor, absl::Duration timeout, void (TagStreamReactor::*on_expiry)()) {
    absl::MutexLock lock(&state->mutex);
    state->reactor = &reactor;
    alarm.Set(absl::ToChronoTime(absl::Now() + timeout), [state = state, on_expiry](bool expired) {
      absl::MutexLock late(&state->mutex);
      if (expired && state->reactor != nullptr) (state->reactor->*on_expiry)();
    });
  }
  ~Timer() { Stop(); }

  void Stop() {
    {
      absl::MutexLock lock(&state->mutex);
      state->reactor = nullptr;
    }
    alarm.Cancel();
  }

  const std::shared_ptr<State> state = std::make_shared<State>();
  grpc::Alarm alarm;
};

TagStreamReactor::TagStreamReactor(CallGate& gate, grpc::CallbackServerContext& context)
    : gate_(gate),
      context_(context),
      tagger_(gate.tagger()),
      caller_(gate.Identify(context, /*stream=*/true)),
      arrival_(gate.clock().Now()) {
  if (!caller_.ok()) {
    End(caller_.status());
  } else if (tagger_ == nullptr) {
    End(Loading());
  } else {
    config_timer_ = std::make_unique<Timer>(*this, idle_timeout(), &TagStreamReactor::OnConfigTimeout);
    StartRead(&request_);
  }
}

TagStreamReactor::~TagStreamReactor() = default;

absl::Duration TagStreamReactor::idle_timeout() const { return tagger_->options().stream_idle_timeout; }

void TagStreamReactor::OnConfigTimeout() {
  End(absl::DeadlineExceededError(
      absl::StrCat("no config came for ", absl::FormatDuration(idle_timeout()), "; it must be the first message")));
}

// The call is over but for a write that the client doesn't take.
void TagStreamReactor::OnWriteTimeout() { context_.TryCancel(); }

void TagStreamReactor::OnReadDone(bool ok) {
  if (!ok) {  // half-closed, or gone
    if (stream_ != nullptr) return stream_->CloseWrites();
    if (context_.IsCancelled()) return End(absl::CancelledError("the client gave up"));
    return End(InvalidField("config", "the stream ended without a config; it must be the first message"));
  }
  if (stream_ == nullptr) {
    TakeConfig();
  } else {
    TakeData();
  }
}

void TagStreamReactor::TakeConfig() {
  config_timer_->Stop();
  {
    absl::MutexLock lock(&mutex_);
    if (end_.has_value()) return;  // It was too late.
  }
  if (!request_.has_config()) return End(InvalidField("config", "the first message must be a config"));
  absl::StatusOr<StreamRequest> request = FromProto(request_.config());
  if (!request.ok()) return End(request.status());
  request->client = caller_->client();
  request->deadline = DeadlineOf(context_, gate_.clock());
  stream_ = tagger_->TagStream(*std::move(request), *this);
  slot_.Add(stream_);
  absl::MutexLock lock(&mutex_);
  if (!finished_) StartRead(&request_);
}

void TagStreamReactor::TakeData() {
  if (!request_.has_data()) {
    const bool again = request_.has_config();
    return stream_->Cancel(WasteReason::kCancelled,
                           again ? InvalidField("config", "the config was sent twice; it must be the first message, and only that")
                                 : InvalidField("data", "the message has neither a config nor data"));
  }
  const auto bytes = static_cast<int64_t>(request_.data().size());
  if (absl::Status taken = gate_.TakeBytes(bytes); !taken.ok()) {
    return stream_->Cancel(WasteReason::kCancelled, std::move(taken));
  }
  bytes_in_flight_ = bytes;
  stream_->Write(std::move(*request_.mutable_data()));
}

void TagStreamReactor::OnWantData() {
  gate_.GiveBytes(std::exchange(bytes_in_flight_, 0));
  absl::MutexLock lock(&mutex_);
  if (!finished_) StartRead(&request_);
}

void TagStreamReactor::OnWindow(const ModelSpec& model, WindowTags window) {
  caller_->Charge(window.duration);
  auto response = std::make_unique<v1::TagStreamResponse>();
  ToProto(model, window, *response->mutable_window());
  Write(std::move(response));
}

void TagStreamReactor::OnEnd(absl::StatusOr<TagResult> result) {
  if (result.ok()) {
    auto response = std::make_unique<v1::TagStreamResponse>();
    ToProto(*result, *response->mutable_summary());
    result_ = *result;
    Write(std::move(response));
  }
  End(result.status());
}

void TagStreamReactor::End(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (end_.has_value()) return;
    end_ = std::move(status);
    // What waits behind the present write is dropped; and a client that takes nothing mustn't hold that one, either.
    if (!end_->ok() && responses_.size() > 1) responses_.erase(responses_.begin() + 1, responses_.end());
    if (!responses_.empty()) {
      const bool at_once = absl::IsDeadlineExceeded(*end_) || absl::IsCancelled(*end_);
      write_timer_ = std::make_unique<Timer>(*this, at_once ? absl::ZeroDuration() : idle_timeout(), &TagStreamReactor::OnWriteTimeout);
    }
  }
  FinishIfDone();
}

void TagStreamReactor::Write(std::unique_ptr<v1::TagStreamResponse> response) {
  absl::MutexLock lock(&mutex_);
  responses_.push_back(std::move(response));
  if (responses_.size() == 1) StartWrite(responses_.front().get());
}

void TagStreamReactor::OnWriteDone(bool ok) {
  bool window = false;
  {
    absl::MutexLock lock(&mutex_);
    window = responses_.front()->has_window();
    responses_.pop_front();
    if (!ok) responses_.clear();  // the client is gone; OnCancel says so
    if (!responses_.empty()) StartWrite(responses_.front().get());
  }
  if (window) stream_->WindowSent();
  FinishIfDone();
}

// Without the lock, and last: Finish may have this object deleted.
void TagStreamReactor::FinishIfDone() {
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_ || !end_.has_value() || !responses_.empty()) return;
    finished_ = true;
    status = *end_;
  }
  const CallResult* const result = status.ok() ? &*result_ : nullptr;
  Finish(gate_.Account(context_, "TagStream", caller_.ok() ? caller_->client() : "", arrival_, status, result));
}

void TagStreamReactor::OnCancel() { slot_.OnCancel(context_); }

void TagStreamReactor::OnDone() {
  gate_.GiveBytes(bytes_in_flight_);
  delete this;
}

}  // namespace culturetag
