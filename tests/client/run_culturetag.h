// The whole client in this process, from its command line to its output.
#ifndef CULTURETAG_TESTS_CLIENT_RUN_CULTURETAG_H_
#define CULTURETAG_TESTS_CLIENT_RUN_CULTURETAG_H_

#include <sstream>
#include <string>
#include <vector>

#include "client/cli.h"

namespace culturetag::client {

struct Finished {
  int exit_code;
  std::string out;
  std::string err;
};

inline Finished RunCulturetag(const std::vector<std::string>& arguments, const std::string& standard_input = "") {
  std::vector<const char*> argv = {"culturetag"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::istringstream in(standard_input);
  std::ostringstream out;
  std::ostringstream err;
  const int exit_code = RunCli(static_cast<int>(argv.size()), argv.data(), {in, out, err, {}});
  return {exit_code, out.str(), err.str()};
}

}  // namespace culturetag::client

#endif  // CULTURETAG_TESTS_CLIENT_RUN_CULTURETAG_H_
