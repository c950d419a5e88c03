#include "service/call_context.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/match.h"

namespace culturetag {

absl::Time DeadlineOf(const grpc::CallbackServerContext& context, const Clock& clock) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return clock.Now() + absl::FromChrono(deadline - std::chrono::system_clock::now());
}

std::string ClientOf(const grpc::CallbackServerContext& context) {
  constexpr size_t kMaxBytes = 128;
  const auto& metadata = context.client_metadata();
  if (const auto id = metadata.find("x-client-id"); id != metadata.end()) {
    return std::string(id->second.data(), std::min(id->second.size(), kMaxBytes));
  }
  const std::string peer = context.peer();  // "ipv4:10.0.0.1:41234", "ipv6:%5B::1%5D:41234", "unix:"
  const bool has_port = absl::StartsWith(peer, "ipv");
  return has_port ? peer.substr(0, peer.rfind(':')) : peer;
}

void FillFromContext(const grpc::CallbackServerContext& context, const Clock& clock, CallOptions& options) {
  options.deadline = DeadlineOf(context, clock);
  options.client = ClientOf(context);
}

void CallSlot::Set(std::shared_ptr<Tagger::Call> call) {
  bool cancelled = false, expired = false;
  {
    absl::MutexLock lock(&mutex_);
    call_ = call;
    cancelled = cancelled_;
    expired = expired_;
  }
  if (cancelled) Cancel(*call, expired);
}

void CallSlot::OnCancel(const grpc::CallbackServerContext& context) {
  const bool expired = context.deadline() <= std::chrono::system_clock::now();
  std::shared_ptr<Tagger::Call> call;
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    expired_ = expired;
    call = call_;
  }
  if (call != nullptr) Cancel(*call, expired);
}

void CallSlot::Cancel(Tagger::Call& call, bool expired) {
  if (expired) {
    call.Cancel(WasteReason::kExpired, absl::DeadlineExceededError("the deadline passed"));
  } else {
    call.Cancel(WasteReason::kCancelled, absl::CancelledError("the client gave up"));
  }
}

}  // namespace culturetag
