// The command-line client of culturetag; everything is in cli.h.
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <thread>

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

// Hands Ctrl-C to the command that listens; otherwise, and the second time, it ends the program. Must run before any
// other thread starts: they inherit that the signal is theirs no more.
void WatchForInterrupts(culturetag::client::Interrupts& interrupts) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([&interrupts, signals] {
    int signal = 0;
    do {
      sigwait(&signals, &signal);
    } while (interrupts.Raise());
    _exit(128 + signal);
  }).detach();
}

}  // namespace

int main(int argc, char** argv) {
  auto& interrupts = *new culturetag::client::Interrupts;  // the thread that watches outlives main
  WatchForInterrupts(interrupts);
  return culturetag::client::RunCli(
      argc, argv,
      {STDIN_FILENO, std::cout, std::cerr, StyleOfStandardOutput(), interrupts, isatty(STDERR_FILENO) != 0});
}
