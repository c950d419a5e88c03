// Where a command reads from and writes to, so that tests can stand in for the terminal.
#ifndef CULTURETAG_CLIENT_CONSOLE_H_
#define CULTURETAG_CLIENT_CONSOLE_H_

#include <ostream>

#include "client/interrupts.h"

namespace culturetag::client {

// How text for people may look.
struct TextStyle {
  // Colours and bars: only for a terminal. What a pipe gets is plain.
  bool decorated = false;
  // Columns of the terminal. Long sentences wrap here; tables don't.
  int width = 80;
};

struct Console {
  int in;             // a file descriptor: live audio is read as it comes, without a stream's buffer
  std::ostream& out;  // results
  std::ostream& err;  // failures
  TextStyle style;    // of `out`
  Interrupts& interrupts;
  // Whether `err` is a terminal, where a line may be drawn over the one before.
  bool show_progress = false;
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_CONSOLE_H_
