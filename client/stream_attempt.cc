#include "client/stream_attempt.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>

namespace culturetag::client {
namespace {

// Large enough that a message's overhead doesn't count, small enough that a stream costs little memory.
constexpr std::size_t kChunkBytes = 1 << 20;

class Sender {
 public:
  using Stream = grpc::ClientReaderWriter<v1::TagStreamRequest, v1::TagStreamResponse>;

  Sender(Stream& stream, const AudioInput& audio, StallGuard& guard) : stream_(stream), audio_(audio), guard_(guard) {}

  // Sends everything and half-closes, or stops where the call has ended. Fails where the input does.
  absl::optional<Failure> Run(const v1::TagStreamConfig& config) {
    v1::TagStreamRequest first;
    *first.mutable_config() = config;
    if (!Write(first) || !SendBeginning()) return {};
    if (audio_.rest != nullptr) {
      const Outcome<bool> sent = SendRest();
      if (const auto* const failure = std::get_if<Failure>(&sent)) return *failure;
      if (!std::get<bool>(sent)) return {};
    }
    stream_.WritesDone();
    return {};
  }

 private:
  bool Write(const v1::TagStreamRequest& request) {
    const bool written = stream_.Write(request);
    guard_.Progress();
    return written;
  }

  bool SendBeginning() {
    v1::TagStreamRequest request;
    for (std::size_t begin = 0; begin < audio_.bytes.size(); begin += kChunkBytes) {
      request.set_data(audio_.bytes.data() + begin, std::min(kChunkBytes, audio_.bytes.size() - begin));
      if (!Write(request)) return false;
    }
    return true;
  }

  // Returns whether the call goes on.
  Outcome<bool> SendRest() {
    v1::TagStreamRequest request;
    std::string buffer(kChunkBytes, '\0');
    while (true) {
      const Outcome<std::size_t> count = audio_.rest->Read(buffer.data(), buffer.size());
      if (const auto* const failure = std::get_if<Failure>(&count)) return *failure;
      if (std::get<std::size_t>(count) == 0) return true;
      request.set_data(buffer.data(), std::get<std::size_t>(count));
      if (!Write(request)) return false;
    }
  }

  Stream& stream_;
  const AudioInput& audio_;
  StallGuard& guard_;
};

}  // namespace

StallGuard::StallGuard(absl::Duration limit, grpc::ClientContext& context)
    : limit_(limit), context_(context), thread_([this] { Watch(); }) {}

StallGuard::~StallGuard() {
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
  }
  thread_.join();
}

void StallGuard::Progress() {
  absl::MutexLock lock(&mutex_);
  last_progress_ = absl::Now();
}

bool StallGuard::stalled() const {
  absl::MutexLock lock(&mutex_);
  return stalled_;
}

void StallGuard::Watch() {
  absl::MutexLock lock(&mutex_);
  while (absl::Now() < last_progress_ + limit_) {
    if (mutex_.AwaitWithDeadline(absl::Condition(&ended_), last_progress_ + limit_)) return;
  }
  stalled_ = true;
  context_.TryCancel();
}

StreamResult AttemptStream(v1::TaggingService::Stub& stub, grpc::ClientContext& context,
                           const v1::TagStreamConfig& config, const AudioInput& audio, absl::Duration stall_limit,
                           const std::function<void(const v1::WindowResult&)>& on_window) {
  StreamResult result;
  const auto stream = stub.TagStream(&context);
  StallGuard guard(stall_limit, context);
  std::thread sender([&] {
    result.read_failure = Sender(*stream, audio, guard).Run(config);
    if (result.read_failure.has_value()) context.TryCancel();
  });
  v1::TagStreamResponse response;
  while (stream->Read(&response)) {
    guard.Progress();
    result.answered = true;
    if (response.has_window()) on_window(response.window());
    if (response.has_summary()) result.summary = std::move(*response.mutable_summary());
  }
  // The call is over; an input that gives nothing must not keep the sender.
  if (audio.rest != nullptr) audio.rest->Stop();
  sender.join();
  result.status = stream->Finish();
  result.stalled = guard.stalled();
  return result;
}

}  // namespace culturetag::client
