// The command line of `culturetag-simulate`.
#ifndef CULTURETAG_SIMULATOR_CLI_H_
#define CULTURETAG_SIMULATOR_CLI_H_

#include <ostream>

namespace culturetag::simulator {

struct Console {
  std::ostream& out;           // the report
  std::ostream& err;           // failures and progress
  bool shows_progress = false;  // on a terminal
};

// Parses the command line, simulates, prints the report and returns the exit code: 0, or 1 if a file can't be used
// (standard error says why), or 2 for a command line that makes no sense.
int RunCli(int argc, const char* const* argv, const Console& console);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_CLI_H_
