// `culturetag tag`: sends files to a server and prints their tags.
#ifndef CULTURETAG_CLIENT_TAG_COMMAND_H_
#define CULTURETAG_CLIENT_TAG_COMMAND_H_

#include "client/console.h"
#include "client/tag_options.h"
#include "client/tagging_client.h"

namespace culturetag::client {

// Returns the exit code: 0 if every file worked, 130 after Ctrl-C, else 1. A file that fails doesn't keep the others
// from being tagged, except that nothing more is sent where no server answered at the start. After Ctrl-C no more files
// are sent, and those in flight are waited for.
//
// Text and a JSON array are in the order of the files; JSON Lines and CSV in that of the answers.
//
// Memory is bounded by the list of names, of those that failed, and the files in flight, each twice (as bytes and as
// gRPC's message, kept for retries), the next one, and at most 256 answers that wait for that of a file before them.
int RunTag(const TagOptions& options, TaggingClient& client, const Console& console);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TAG_COMMAND_H_
