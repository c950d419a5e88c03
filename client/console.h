// Where a command reads from and writes to, so that tests can stand in for the terminal.
#ifndef CULTURETAG_CLIENT_CONSOLE_H_
#define CULTURETAG_CLIENT_CONSOLE_H_

#include <istream>
#include <ostream>

namespace culturetag::client {

// How text for people may look.
struct TextStyle {
  // Colours and bars: only for a terminal. What a pipe gets is plain.
  bool decorated = false;
  // Columns of the terminal. Long sentences wrap here; tables don't.
  int width = 80;
};

struct Console {
  std::istream& in;
  std::ostream& out;  // results
  std::ostream& err;  // failures
  TextStyle style;    // of `out`
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_CONSOLE_H_
