// A TCP port whose connections go to a handler, and that no number of them makes deaf.
//
// gRPC 1.51 stops listening for good once accept() has failed for want of a descriptor: whoever opens connections enough, and
// be it for a second, ends the service while its health still says SERVING. So the server accepts by itself. Of the
// process's descriptors (RLIMIT_NOFILE) connections get all but a reserve, which is left for files; one that comes on top is
// closed at once, and its client comes again.
//
// Thread-safe.
#ifndef CULTURETAG_BASE_TCP_LISTENER_H_
#define CULTURETAG_BASE_TCP_LISTENER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log_limiter.h"

namespace culturetag {

class TcpListener {
 public:
  // Takes the descriptor of a connection, which is then the handler's to close, and that of the socket it came in by.
  // Called on one thread.
  using Handler = std::function<void(int connection, int listener)>;

  // Binds `address`, HOST:PORT; port 0 takes a free one, the host 0.0.0.0 or [::] is every address of the machine.
  // INVALID_ARGUMENT if it is no such address, UNAVAILABLE if it can't be bound: the port is taken, or the address not this
  // machine's. Connections queue from then on.
  static absl::StatusOr<std::unique_ptr<TcpListener>> Create(const std::string& address);

  // Stops; the handler isn't called any more.
  ~TcpListener();

  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  int port() const { return port_; }

  // Begins to accept. To be called once. What `handler` uses must outlive the listener, or its Stop.
  void Start(Handler handler);
  // Accepts no more and closes the port. No effect the second time.
  void Stop();

 private:
  TcpListener();

  absl::Status Bind(const std::string& host, const std::string& port);
  void Run();
  bool AcceptAll(int listener);
  void Warn(absl::string_view what);

  int port_ = 0;
  std::vector<int> sockets_;  // one for each address of the host
  int wake_[2] = {-1, -1};    // a pipe: Stop closes its end for writing
  Handler handler_;
  int reserved_from_ = 0;  // the first descriptor that isn't for connections
  LogLimiter warnings_;    // of the thread
  std::thread thread_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BASE_TCP_LISTENER_H_
