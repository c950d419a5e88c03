// The command-line client of culturetag; everything is in cli.h.
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "client/cli.h"

namespace {

culturetag::client::TextStyle StyleOfStandardOutput() {
  culturetag::client::TextStyle style;
  // A user who sets NO_COLOR (no-color.org) gets what a pipe gets.
  const char* const no_color = std::getenv("NO_COLOR");
  style.decorated = isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0');
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
  return style;
}

}  // namespace

int main(int argc, char** argv) {
  return culturetag::client::RunCli(argc, argv, {std::cin, std::cout, std::cerr, StyleOfStandardOutput()});
}
