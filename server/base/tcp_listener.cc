#include "base/tcp_listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// Of the descriptors, what is left for spooled uploads, bundles, certificates and the metrics port; less where there are few.
constexpr int kReservedDescriptors = 64;
// How long to leave the port alone after accept() has failed: what it wants for comes back as connections end.
constexpr int kPauseMs = 50;
// A minute.
constexpr int kWarnings = 10;
constexpr unsigned kUserTimeoutMs = 20000;

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

// "HOST:PORT" or "[HOST]:PORT" as host and port.
absl::StatusOr<std::pair<std::string, std::string>> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return absl::InvalidArgumentError(absl::StrCat("'", address, "' is no HOST:PORT"));
  }
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return std::make_pair(std::move(host), address.substr(colon + 1));
}

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// A bound socket that listens; its descriptor.
absl::StatusOr<int> Listen(const addrinfo& address) {
  const int descriptor = socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol);
  if (descriptor < 0) return SystemError("socket");
  constexpr int kYes = 1;
  constexpr int kNo = 0;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &kYes, sizeof(kYes));  // connections of a server before may linger
  // Connections inherit these two, which gRPC's own listener sets, too: small responses leave at once, and a peer that
  // acknowledges nothing is given up.
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &kYes, sizeof(kYes));
  setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof(kUserTimeoutMs));
  if (address.ai_family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &kNo, sizeof(kNo));
  if (bind(descriptor, address.ai_addr, address.ai_addrlen) == 0 && listen(descriptor, SOMAXCONN) == 0) return descriptor;
  absl::Status status = SystemError("bind");
  close(descriptor);
  return status;
}

absl::StatusOr<int> PortOf(int descriptor) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return SystemError("getsockname");
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// Where the reserve begins. The kernel gives the lowest descriptor that is free: one from there on says that all below are
// taken.
int ReservedFrom() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  const auto descriptors = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 30));
  return descriptors - std::min(kReservedDescriptors, descriptors / 4);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TcpListener>> TcpListener::Create(const std::string& address) {
  CULTURETAG_ASSIGN_OR_RETURN(const auto parts, SplitAddress(address));
  std::unique_ptr<TcpListener> listener(new TcpListener);
  if (pipe2(listener->wake_, O_CLOEXEC) != 0) return SystemError("pipe");
  // Every address of the machine is both families' at once, where there are two.
  const bool any = parts.first == "0.0.0.0" || parts.first == "::";
  if (any && listener->Bind("::", parts.second).ok()) return listener;
  CULTURETAG_RETURN_IF_ERROR(listener->Bind(parts.first, parts.second));
  return listener;
}

// All addresses of `host`, on one port.
absl::Status TcpListener::Bind(const std::string& host, const std::string& port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return absl::InvalidArgumentError(absl::StrCat("'", host, ":", port, "': ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, AddressListDeleter> list(found);
  absl::Status failure;
  for (addrinfo* address = found; address != nullptr; address = address->ai_next) {
    // Both families have the port at the same place.
    if (port_ != 0) reinterpret_cast<sockaddr_in*>(address->ai_addr)->sin_port = htons(static_cast<uint16_t>(port_));
    const absl::StatusOr<int> socket = Listen(*address);
    failure.Update(socket.status());
    if (!socket.ok()) continue;  // localhost is ::1, too, which a machine may not have
    sockets_.push_back(*socket);
    CULTURETAG_ASSIGN_OR_RETURN(port_, PortOf(*socket));
  }
  return sockets_.empty() ? failure : absl::OkStatus();
}

TcpListener::TcpListener() : warnings_(kWarnings, absl::Minutes(1), Clock::Real()) {}

TcpListener::~TcpListener() {
  Stop();
  close(wake_[0]);
}

void TcpListener::Start(Handler handler) {
  handler_ = std::move(handler);
  reserved_from_ = ReservedFrom();
  thread_ = std::thread([this] { Run(); });
}

void TcpListener::Stop() {
  if (wake_[1] < 0) return;
  close(std::exchange(wake_[1], -1));
  if (thread_.joinable()) thread_.join();
  for (const int descriptor : sockets_) close(descriptor);
  sockets_.clear();
}

void TcpListener::Run() {
  std::vector<pollfd> polled = {{wake_[0], POLLIN, 0}};
  for (const int descriptor : sockets_) polled.push_back({descriptor, POLLIN, 0});
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;  // a signal
    if (polled[0].revents != 0) return;
    for (size_t i = 1; i < polled.size(); ++i) {
      // Only the pipe is waited for, and only so long.
      if (polled[i].revents != 0 && !AcceptAll(polled[i].fd)) poll(polled.data(), 1, kPauseMs);
    }
  }
}

void TcpListener::Warn(absl::string_view what) {
  const absl::optional<int64_t> suppressed = warnings_.Admit();
  if (suppressed.has_value()) LogWarning("a connection was refused", {{"reason", what}, {"suppressed", *suppressed}});
}

// Whether nothing was wrong.
bool TcpListener::AcceptAll(int listener) {
  while (true) {
    const int connection = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection >= reserved_from_) {
      close(connection);
      Warn("all descriptors but the reserve are in use; see RLIMIT_NOFILE (ulimit -n)");
    } else if (connection >= 0) {
      handler_(connection, listener);
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      Warn(std::strerror(errno));
      return false;
    }
  }
}

}  // namespace culturetag
