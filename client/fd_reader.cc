#include "client/fd_reader.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace culturetag::client {

FdReader::FdReader(int fd, Ownership ownership)
    : fd_(fd), ownership_(ownership), stop_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

FdReader::~FdReader() {
  close(stop_event_);
  if (ownership_ == Ownership::kOwned) close(fd_);
}

Outcome<std::size_t> FdReader::Read(char* buffer, std::size_t size) {
  while (true) {
    pollfd events[] = {{stop_event_, POLLIN, 0}, {fd_, POLLIN, 0}};
    if (poll(events, 2, /*timeout=*/-1) > 0) {
      if (events[0].revents != 0) return std::size_t{0};
      const ssize_t count = read(fd_, buffer, size);
      if (count >= 0) return static_cast<std::size_t>(count);
    }
    if (errno == EINTR || errno == EAGAIN) continue;
    Failure failure;
    failure.code = "UNKNOWN";
    failure.message = std::string("the input can't be read to its end: ") + std::strerror(errno);
    return failure;
  }
}

void FdReader::Stop() { eventfd_write(stop_event_, 1); }

bool FdReader::Rewind() {
  eventfd_t stops = 0;
  eventfd_read(stop_event_, &stops);
  return lseek(fd_, 0, SEEK_SET) == 0;
}

bool FdReader::rewindable() const { return lseek(fd_, 0, SEEK_CUR) >= 0; }

}  // namespace culturetag::client
