// Files as bytes. The server never opens a path; the client reads.
#ifndef CULTURETAG_CLIENT_AUDIO_FILE_H_
#define CULTURETAG_CLIENT_AUDIO_FILE_H_

#include <istream>
#include <string>

#include "client/failure.h"

namespace culturetag::client {

// Returns the bytes of the file `name`, or of `standard_input` where `name` is "-".
//
// Fails with NOT_FOUND (no such file), PERMISSION_DENIED, INVALID_ARGUMENT (a directory; nothing in it; over 2 GiB,
// more than a gRPC message can hold) or UNKNOWN (reading failed half-way).
Outcome<std::string> ReadAudioFile(const std::string& name, std::istream& standard_input);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_AUDIO_FILE_H_
