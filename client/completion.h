// Completion of `culturetag`'s command line by a shell.
#ifndef CULTURETAG_CLIENT_COMPLETION_H_
#define CULTURETAG_CLIENT_COMPLETION_H_

#include <string>

#include <CLI/CLI.hpp>

namespace culturetag::client {

// A script for bash, and for zsh after `bashcompinit`, that completes the commands of `app`, their options, and files
// everywhere else.
std::string BashCompletion(const CLI::App& app);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_COMPLETION_H_
