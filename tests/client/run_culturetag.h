// The whole client in this process, from its command line to its output.
#ifndef CULTURETAG_TESTS_CLIENT_RUN_CULTURETAG_H_
#define CULTURETAG_TESTS_CLIENT_RUN_CULTURETAG_H_

#include <sys/mman.h>
#include <unistd.h>

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

// Standard input that holds `bytes` and then ends.
class InputFile {
 public:
  explicit InputFile(const std::string& bytes) : fd_(memfd_create("stdin", MFD_CLOEXEC)) {
    for (std::size_t written = 0; written < bytes.size();) {
      written += static_cast<std::size_t>(write(fd_, bytes.data() + written, bytes.size() - written));
    }
    lseek(fd_, 0, SEEK_SET);
  }
  ~InputFile() { close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int fd() const { return fd_; }

 private:
  const int fd_;
};

// What a console is made of, save for what is read.
struct FakeTerminal {
  std::ostringstream out;
  std::ostringstream err;
  Interrupts interrupts;

  Console ConsoleReading(int in) { return {in, out, err, {}, interrupts}; }
};

inline Finished RunCulturetag(const std::vector<std::string>& arguments, const std::string& standard_input = "") {
  std::vector<const char*> argv = {"culturetag"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  const InputFile in(standard_input);
  FakeTerminal terminal;
  const int exit_code = RunCli(static_cast<int>(argv.size()), argv.data(), terminal.ConsoleReading(in.fd()));
  return {exit_code, terminal.out.str(), terminal.err.str()};
}

}  // namespace culturetag::client

#endif  // CULTURETAG_TESTS_CLIENT_RUN_CULTURETAG_H_
