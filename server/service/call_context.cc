#include "service/call_context.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace culturetag {

absl::Time DeadlineOf(const grpc::CallbackServerContext& context, const Clock& clock) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return clock.Now() + absl::FromChrono(deadline - std::chrono::system_clock::now());
}

namespace {

absl::optional<absl::string_view> MetadataOf(const grpc::CallbackServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return absl::nullopt;
  return absl::string_view(found->second.data(), found->second.size());
}

std::string ClientOf(const grpc::CallbackServerContext& context) {
  if (MetadataOf(context, "x-client-id").has_value()) return MetadataValue(context, "x-client-id");
  const std::string peer = context.peer();  // "ipv4:10.0.0.1:41234", "ipv6:%5B::1%5D:41234", "unix:"
  const bool has_port = absl::StartsWith(peer, "ipv");
  return has_port ? peer.substr(0, peer.rfind(':')) : peer;
}

}  // namespace

absl::Status Loading() { return absl::UnavailableError("the models are being loaded; try again soon"); }

std::string MetadataValue(const grpc::CallbackServerContext& context, const char* key) {
  constexpr size_t kMaxBytes = 128;
  return std::string(MetadataOf(context, key).value_or("").substr(0, kMaxBytes));
}

absl::StatusOr<Caller> Caller::Identify(const grpc::CallbackServerContext& context, const Authenticator* authenticator,
                                        bool stream) {
  if (authenticator == nullptr) return Caller(ClientOf(context), nullptr, stream);
  CULTURETAG_ASSIGN_OR_RETURN(std::shared_ptr<ClientQuota> quota,
                              authenticator->Authenticate(MetadataOf(context, "authorization")));
  CULTURETAG_RETURN_IF_ERROR(quota->Begin(stream));
  std::string name = quota->name();
  return Caller(std::move(name), std::move(quota), stream);
}

Caller::~Caller() {
  if (quota_ != nullptr && stream_) quota_->EndStream();
}

void Caller::Charge(absl::Duration audio) {
  if (quota_ != nullptr) quota_->Charge(audio);
}

void CallSlot::Add(std::shared_ptr<Tagger::Call> call) {
  absl::optional<Reason> cancelled;
  {
    absl::MutexLock lock(&mutex_);
    calls_.push_back(call);
    cancelled = cancelled_;
  }
  if (cancelled.has_value()) call->Cancel(cancelled->waste, cancelled->status);
}

void CallSlot::OnCancel(const grpc::CallbackServerContext& context) {
  if (context.deadline() <= std::chrono::system_clock::now()) {
    Cancel(WasteReason::kExpired, absl::DeadlineExceededError("the deadline passed"));
  } else {
    Cancel(WasteReason::kCancelled, absl::CancelledError("the client gave up"));
  }
}

void CallSlot::Cancel(WasteReason reason, absl::Status status) {
  std::vector<std::shared_ptr<Tagger::Call>> calls;
  {
    absl::MutexLock lock(&mutex_);
    if (cancelled_.has_value()) return;
    cancelled_ = {reason, status};
    calls = calls_;
  }
  for (const auto& call : calls) call->Cancel(reason, status);
}

}  // namespace culturetag
