// What an absl::Status says beyond its code and message, without any wire format: which field of the request is wrong, and
// when a retry may succeed. service/status_convert turns them into google.rpc.BadRequest and google.rpc.RetryInfo.
//
// Free functions on values; thread-safe.
#ifndef CULTURETAG_BASE_ERROR_DETAILS_H_
#define CULTURETAG_BASE_ERROR_DETAILS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace culturetag {

// INVALID_ARGUMENT because of `field`, a path relative to what the function that returns it was given: "sample_rate_hz".
absl::Status InvalidField(absl::string_view field, absl::string_view message);

// `status` with `prefix` before its field: "sample_rate_hz" becomes "audio.pcm.sample_rate_hz". An INVALID_ARGUMENT without
// a field gets `prefix` itself; any other status is returned as it is.
absl::Status WithFieldPrefix(absl::Status status, absl::string_view prefix);

// The field that `status` blames, if any.
absl::optional<std::string> FieldOf(const absl::Status& status);

// RESOURCE_EXHAUSTED that may succeed after `delay`.
absl::Status RetryLater(absl::string_view message, absl::Duration delay);

// The delay after which what `status` refused may be tried again, if any.
absl::optional<absl::Duration> RetryDelayOf(const absl::Status& status);

}  // namespace culturetag

#endif  // CULTURETAG_BASE_ERROR_DETAILS_H_
