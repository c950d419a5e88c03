#include "base/error_details.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace culturetag {
namespace {

constexpr absl::string_view kFieldUrl = "culturetag/field";
constexpr absl::string_view kRetryDelayUrl = "culturetag/retry_delay_ns";

}  // namespace

absl::Status InvalidField(absl::string_view field, absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kFieldUrl, absl::Cord(field));
  return status;
}

absl::Status WithFieldPrefix(absl::Status status, absl::string_view prefix) {
  if (!absl::IsInvalidArgument(status)) return status;
  const absl::optional<std::string> field = FieldOf(status);
  status.SetPayload(kFieldUrl, absl::Cord(field.has_value() ? absl::StrCat(prefix, ".", *field) : std::string(prefix)));
  return status;
}

absl::optional<std::string> FieldOf(const absl::Status& status) {
  const absl::optional<absl::Cord> field = status.GetPayload(kFieldUrl);
  if (!field.has_value()) return absl::nullopt;
  return std::string(*field);
}

absl::Status RetryLater(absl::string_view message, absl::Duration delay) {
  absl::Status status = absl::ResourceExhaustedError(message);
  status.SetPayload(kRetryDelayUrl, absl::Cord(absl::StrCat(absl::ToInt64Nanoseconds(delay))));
  return status;
}

absl::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const absl::optional<absl::Cord> delay = status.GetPayload(kRetryDelayUrl);
  int64_t nanoseconds = 0;
  if (!delay.has_value() || !absl::SimpleAtoi(std::string(*delay), &nanoseconds)) return absl::nullopt;
  return absl::Nanoseconds(nanoseconds);
}

}  // namespace culturetag
