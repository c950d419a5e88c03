// The bytes of a file descriptor as they come: read(2) without a buffer in between, and with a way out of a read that
// waits.
//
// One thread reads; Stop may come from any.
#ifndef CULTURETAG_CLIENT_FD_READER_H_
#define CULTURETAG_CLIENT_FD_READER_H_

#include <cstddef>

#include "client/failure.h"

namespace culturetag::client {

class FdReader {
 public:
  enum class Ownership { kBorrowed, kOwned };

  // Owned: closed at the end.
  FdReader(int fd, Ownership ownership);
  ~FdReader();
  FdReader(const FdReader&) = delete;
  FdReader& operator=(const FdReader&) = delete;

  // Waits until there are any bytes and returns how many of them, at most `size`, it has put into `buffer`: 0 at the
  // end or once stopped. Fails with UNKNOWN.
  Outcome<std::size_t> Read(char* buffer, std::size_t size);

  // Ends a Read that waits, and every later one.
  void Stop();

  // Back to the first byte of the file, as if never stopped. Returns false where there is no way back: in a pipe or a
  // terminal.
  bool Rewind();

  bool rewindable() const;

 private:
  const int fd_;
  const Ownership ownership_;
  const int stop_event_;  // an eventfd; readable once stopped
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_FD_READER_H_
