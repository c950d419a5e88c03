// Files as bytes. The server never opens a path; the client reads.
#ifndef CULTURETAG_CLIENT_AUDIO_FILE_H_
#define CULTURETAG_CLIENT_AUDIO_FILE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "client/failure.h"
#include "client/fd_reader.h"

namespace culturetag::client {

// An input that is whole in memory, or one of which the rest is still to be read.
struct AudioInput {
  std::string bytes;               // the beginning; all of it where there is no `rest`
  std::unique_ptr<FdReader> rest;  // what comes after `bytes`, or null
};

// Opens the file `name`, or `standard_input` where `name` is "-", and reads it if it has at most `max_bytes`. A larger
// one has a `rest`; none of a larger regular file is read.
//
// Fails with NOT_FOUND (no such file), PERMISSION_DENIED, INVALID_ARGUMENT (a directory; nothing in it) or UNKNOWN
// (reading failed half-way).
Outcome<AudioInput> OpenAudioFile(const std::string& name, int standard_input, std::size_t max_bytes);

// All bytes of it. Fails like OpenAudioFile, and with INVALID_ARGUMENT above 2 GiB, more than a gRPC message can hold.
Outcome<std::string> ReadAudioFile(const std::string& name, int standard_input);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_AUDIO_FILE_H_
