// `culturetag tag --live`: tags samples while they are being recorded or played.
#ifndef CULTURETAG_CLIENT_LIVE_COMMAND_H_
#define CULTURETAG_CLIENT_LIVE_COMMAND_H_

#include "client/console.h"
#include "client/tag_options.h"
#include "client/tagging_client.h"

namespace culturetag::client {

// Sends the PCM of standard input as it comes and prints a line for each window as soon as its tags are there, then the
// tags of the whole. With OutputFormat::kJsonLines, each of both is a JSON object. The end of the input and Ctrl-C are
// the same: what has been heard is tagged to its end. Returns the exit code: 0, or 1 if the stream failed.
int RunLive(const TagOptions& options, TaggingClient& client, const Console& console);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_LIVE_COMMAND_H_
