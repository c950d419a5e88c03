// Files that are there whole or not at all.
#ifndef CULTURETAG_CLIENT_WHOLE_FILE_H_
#define CULTURETAG_CLIENT_WHOLE_FILE_H_

#include <string>

#include "absl/types/optional.h"
#include "client/failure.h"

namespace culturetag::client {

// Writes `path`, over what was there, by way of PATH.part beside it. Returns why that failed: PERMISSION_DENIED,
// NOT_FOUND (no such folder) or UNKNOWN.
absl::optional<Failure> WriteWholeFile(const std::string& path, const std::string& bytes);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_WHOLE_FILE_H_
