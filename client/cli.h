// The command line of `culturetag`.
#ifndef CULTURETAG_CLIENT_CLI_H_
#define CULTURETAG_CLIENT_CLI_H_

#include "client/console.h"

namespace culturetag::client {

// Parses the command line, runs the command and returns the exit code: 0 if everything asked for was done, 1 if any
// part failed (standard error says which), 2 for a command line that makes no sense.
int RunCli(int argc, const char* const* argv, const Console& console);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_CLI_H_
