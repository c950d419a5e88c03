// The command line of `culturetag tag`.
#ifndef CULTURETAG_CLIENT_TAG_CLI_H_
#define CULTURETAG_CLIENT_TAG_CLI_H_

#include <CLI/CLI.hpp>

#include "client/tag_options.h"

namespace culturetag::client {

// `options` must outlive the parsing, which leaves them free of contradictions.
CLI::App* AddTagCommand(CLI::App& app, TagOptions& options);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TAG_CLI_H_
