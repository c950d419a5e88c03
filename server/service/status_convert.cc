#include "service/status_convert.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/error_details.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace culturetag {
namespace {

// HTTP/2 sends the message and the details in trailers, and peers limit those to 8 KB or so.
constexpr size_t kMaxMessageBytes = 1024;

// Protobuf's strings and gRPC's messages are UTF-8. A name that a client sent is, since protobuf checks it; a message cut in the
// middle of a character isn't.
std::string Shorten(absl::string_view message) {
  if (message.size() <= kMaxMessageBytes) return std::string(message);
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(message.substr(0, end), "...");
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());  // both are google.rpc.Code
  const std::string message = Shorten(status.message());
  google::rpc::Status details;
  details.set_code(static_cast<int>(code));
  details.set_message(message);
  if (const absl::optional<std::string> field = FieldOf(status); field.has_value()) {
    google::rpc::BadRequest bad_request;
    auto& violation = *bad_request.add_field_violations();
    violation.set_field(*field);
    violation.set_description(message);
    details.add_details()->PackFrom(bad_request);
  }
  if (const absl::optional<absl::Duration> delay = RetryDelayOf(status); delay.has_value()) {
    google::rpc::RetryInfo retry;
    absl::Duration rest;
    retry.mutable_retry_delay()->set_seconds(absl::IDivDuration(*delay, absl::Seconds(1), &rest));
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
    details.add_details()->PackFrom(retry);
  }
  if (details.details().empty()) return grpc::Status(code, message);
  return grpc::Status(code, message, details.SerializeAsString());
}

absl::optional<std::string> RetryPushback(const absl::Status& status) {
  const absl::optional<absl::Duration> delay = RetryDelayOf(status);
  if (!delay.has_value()) return absl::nullopt;
  return absl::StrCat(std::max<int64_t>(1, absl::ToInt64Milliseconds(*delay)));
}

absl::string_view CodeName(grpc::StatusCode code) {
  constexpr std::array<absl::string_view, 17> kNames = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",    "DEADLINE_EXCEEDED", "NOT_FOUND",
      "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",  "OUT_OF_RANGE",
      "UNIMPLEMENTED", "INTERNAL",   "UNAVAILABLE",       "DATA_LOSS",           "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

}  // namespace culturetag
