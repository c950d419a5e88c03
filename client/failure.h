// What went wrong with one file or call, in the terms that people and programs are told.
#ifndef CULTURETAG_CLIENT_FAILURE_H_
#define CULTURETAG_CLIENT_FAILURE_H_

#include <string>
#include <variant>

#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace culturetag::client {

struct Failure {
  // The name of a gRPC status code, for example "INVALID_ARGUMENT". Files that can't be read use the same names.
  std::string code;
  std::string message;
  // The field of the request that the server blames (google.rpc.BadRequest), for example "audio.encoded"; or empty.
  std::string field;
  // When the server expects a retry to succeed (google.rpc.RetryInfo), if it says so.
  absl::optional<absl::Duration> retry_after;
  // Whether there was no server to ask, so that asking again for the next file is of no use.
  bool server_unreachable = false;
};

template <typename T>
using Outcome = std::variant<T, Failure>;

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_FAILURE_H_
