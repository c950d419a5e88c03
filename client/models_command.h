// `culturetag models`: prints what a server serves.
#ifndef CULTURETAG_CLIENT_MODELS_COMMAND_H_
#define CULTURETAG_CLIENT_MODELS_COMMAND_H_

#include "client/console.h"
#include "client/tagging_client.h"

namespace culturetag::client {

struct ModelsOptions {
  bool with_labels = false;  // JSON always has them
  bool json = false;
};

// Returns the exit code: 0, or 1 if the server didn't answer.
int RunModels(const ModelsOptions& options, TaggingClient& client, const Console& console);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_MODELS_COMMAND_H_
