// `culturetag tag`: sends files to a server and prints their tags in the order of the files.
#ifndef CULTURETAG_CLIENT_TAG_COMMAND_H_
#define CULTURETAG_CLIENT_TAG_COMMAND_H_

#include <cstddef>
#include <string>
#include <vector>

#include "client/console.h"
#include "client/tagging_client.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

struct TagOptions {
  std::vector<std::string> files;  // "-": standard input
  // As in v1::TagRequest.
  std::string model;
  std::vector<std::string> heads;
  int top_k = 5;
  float min_score = 0;
  bool include_windows = false;
  v1::Priority priority = v1::PRIORITY_INTERACTIVE;
  // Files in flight at once, >= 1. Four keep a server's decoder and device busy from one client without letting it
  // crowd out others.
  int concurrency = 4;
  // The most audio in flight at once, in bytes. A file that is larger goes alone.
  std::size_t max_bytes_in_flight = std::size_t{256} << 20;
  bool json = false;
};

// Returns the exit code: 0 if every file worked, else 1. A file that fails doesn't keep the others from being tagged,
// except that nothing more is sent where no server answered at the start.
//
// Memory is bounded whatever the number of files: it holds the files in flight, each twice (as bytes and as gRPC's
// message, kept for retries), the next one, and at most 256 answers that wait for that of a file before them.
int RunTag(const TagOptions& options, TaggingClient& client, const Console& console);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TAG_COMMAND_H_
