// From absl::Status, with what base/error_details.h attaches, to gRPC's status with google.rpc details. Pure functions;
// thread-safe.
#ifndef CULTURETAG_SERVICE_STATUS_CONVERT_H_
#define CULTURETAG_SERVICE_STATUS_CONVERT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "grpcpp/support/status.h"

namespace culturetag {

// The same code and message; a field becomes a google.rpc.BadRequest and a retry delay a google.rpc.RetryInfo, both inside
// the google.rpc.Status of the `grpc-status-details-bin` trailer.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The value of the `grpc-retry-pushback-ms` trailer, which stock gRPC clients honour: the delay in milliseconds for what may
// be retried, nothing for any other status.
absl::optional<std::string> RetryPushback(const absl::Status& status);

// "INVALID_ARGUMENT": a code as gRPC's documentation spells it.
absl::string_view CodeName(grpc::StatusCode code);

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_STATUS_CONVERT_H_
