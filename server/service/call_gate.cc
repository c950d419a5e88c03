#include "service/call_gate.h"

#include <string>

#include "absl/types/optional.h"
#include "base/error_details.h"
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
                                           absl::FunctionRef<absl::Status(const Tagger*)> fill) {
  const absl::Time arrival = clock_.Now();
  const absl::StatusOr<Caller> caller = Identify(context, /*stream=*/false);
  const absl::Status status = caller.ok() ? fill(tagger()) : caller.status();
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  reactor->Finish(Account(context, method, caller.ok() ? caller->client() : "", arrival, status));
  return reactor;
}

grpc::Status CallGate::Account(grpc::CallbackServerContext& context, absl::string_view method, absl::string_view client,
                               absl::Time arrival, const absl::Status& status, const CallResult* result) {
  grpc::Status grpc_status = ToGrpcStatus(status);
  if (const absl::optional<std::string> pushback = RetryPushback(status); pushback.has_value()) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
  }
  RequestRecord record;
  record.method = method;
  record.code = CodeName(grpc_status.error_code());
  record.error = status.message();
  record.client = std::string(client);
  record.request_id = MetadataValue(context, "x-request-id");
  record.traceparent = MetadataValue(context, "traceparent");
  record.total = clock_.Now() - arrival;
  record.result = result;
  if (!record.request_id.empty()) context.AddTrailingMetadata("x-request-id", record.request_id);
  metrics_.RecordRequest(record.method, record.code, record.total);
  log_.Write(record);
  return grpc_status;
}

}  // namespace culturetag
