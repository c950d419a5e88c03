#include "service/call_gate.h"

#include <string>

#include "absl/types/optional.h"
#include "base/error_details.h"
#include "base/logging.h"
#include "service/status_convert.h"

namespace culturetag {

absl::StatusOr<Caller> CallGate::Identify(const grpc::CallbackServerContext& context, bool stream) const {
  absl::StatusOr<Caller> caller = Caller::Identify(context, authenticator_, stream);
  if (!caller.ok()) {
    const bool unknown = absl::IsUnauthenticated(caller.status());
    metrics_.RecordRejected(unknown ? RejectReason::kUnauthenticated : RejectReason::kQuota);
  }
  return caller;
}

absl::Status CallGate::TakeBytes(int64_t bytes) {
  // About the time in which a clip is decoded and scored, and its bytes are free again.
  constexpr absl::Duration kRetryDelay = absl::Milliseconds(500);
  if (bytes_in_flight_.TryTake(bytes)) return absl::OkStatus();
  metrics_.RecordRejected(RejectReason::kQueueFull);
  return RetryLater("too much audio is in flight", kRetryDelay);
}

grpc::ServerUnaryReactor* CallGate::Answer(grpc::CallbackServerContext& context, absl::string_view method,
                                           absl::FunctionRef<absl::Status(const Tagger*)> fill) const {
  const absl::Time arrival = clock_.Now();
  const absl::StatusOr<Caller> caller = Identify(context, /*stream=*/false);
  const absl::Status status = caller.ok() ? fill(tagger()) : caller.status();
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  reactor->Finish(Account(context, method, caller.ok() ? caller->client() : "", arrival, status));
  return reactor;
}

grpc::Status CallGate::Account(grpc::CallbackServerContext& context, absl::string_view method, absl::string_view client,
                               absl::Time arrival, const absl::Status& status) const {
  grpc::Status grpc_status = ToGrpcStatus(status);
  if (const absl::optional<std::string> pushback = RetryPushback(status); pushback.has_value()) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
  }
  const std::string request_id = MetadataValue(context, "x-request-id");
  if (!request_id.empty()) context.AddTrailingMetadata("x-request-id", request_id);
  const absl::Duration duration = clock_.Now() - arrival;
  const absl::string_view code = CodeName(grpc_status.error_code());
  metrics_.RecordRequest(method, code, duration);
  if (log_requests_) {
    LogInfo("request", {{"method", method},
                        {"code", code},
                        {"ms", absl::ToInt64Milliseconds(duration)},
                        {"client", client},
                        {"request_id", request_id},
                        {"traceparent", MetadataValue(context, "traceparent")},
                        {"error", status.message()}});
  }
  return grpc_status;
}

}  // namespace culturetag
