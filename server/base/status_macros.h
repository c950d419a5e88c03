// Early returns for absl::Status and absl::StatusOr, which this version of Abseil does not ship.
#ifndef CULTURETAG_BASE_STATUS_MACROS_H_
#define CULTURETAG_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function if `expression` is an error.
#define CULTURETAG_RETURN_IF_ERROR(expression)                                   \
  do {                                                                           \
    if (absl::Status culturetag_status = (expression); !culturetag_status.ok()) { \
      return culturetag_status;                                                  \
    }                                                                            \
  } while (false)

// Assigns the value of the StatusOr `expression` to `target`, which may be a declaration, or returns its error.
#define CULTURETAG_ASSIGN_OR_RETURN(target, expression) \
  CULTURETAG_ASSIGN_OR_RETURN_IMPL_(CULTURETAG_CONCAT_(culturetag_statusor_, __LINE__), target, expression)

#define CULTURETAG_CONCAT_INNER_(a, b) a##b
#define CULTURETAG_CONCAT_(a, b) CULTURETAG_CONCAT_INNER_(a, b)
#define CULTURETAG_ASSIGN_OR_RETURN_IMPL_(statusor, target, expression) \
  auto statusor = (expression);                                         \
  if (!statusor.ok()) return std::move(statusor).status();              \
  target = std::move(statusor).value()

#endif  // CULTURETAG_BASE_STATUS_MACROS_H_
