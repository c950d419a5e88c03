#include "base/tcp_listener.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

// A descriptor that is closed at the end.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// A connection to `port` of 127.0.0.1.
Socket Connect(int port) {
  Socket client(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return client;
}

// Whether the other end has closed; blocks until it has closed or sent something.
bool IsClosed(const Socket& client) {
  char byte = 0;
  return recv(client.get(), &byte, 1, 0) <= 0;
}

// Greets each connection with a byte and keeps it.
class Greeter {
 public:
  TcpListener::Handler handler() {
    return [this](int connection, int) {
      EXPECT_EQ(send(connection, "x", 1, MSG_NOSIGNAL), 1);
      absl::MutexLock lock(&mutex_);
      connections_.emplace_back(connection);
    };
  }
  void HangUp() {
    absl::MutexLock lock(&mutex_);
    connections_.clear();
  }

 private:
  absl::Mutex mutex_;
  std::vector<Socket> connections_ ABSL_GUARDED_BY(mutex_);
};

// Lowers the number of descriptors that the process may have, until the end.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit lowered = {limit, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

TEST(TcpListenerTest, HandsConnectionsOn) {
  for (const char* address : {"127.0.0.1:0", "localhost:0", "0.0.0.0:0"}) {
    Greeter greeter;
    const auto listener = TcpListener::Create(address);
    ASSERT_TRUE(listener.ok()) << listener.status();
    (*listener)->Start(greeter.handler());
    const Socket client = Connect((*listener)->port());
    EXPECT_FALSE(IsClosed(client)) << address;
  }
}

TEST(TcpListenerTest, ConnectionsWaitForTheStart) {
  Greeter greeter;
  const auto listener = TcpListener::Create("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Socket client = Connect((*listener)->port());
  (*listener)->Start(greeter.handler());
  EXPECT_FALSE(IsClosed(client));
}

// gRPC's own listener ends here.
TEST(TcpListenerTest, ClosesConnectionsThatWouldTakeTheLastDescriptorsAndGoesOnOnceThereAreSome) {
  Greeter greeter;
  const auto listener = TcpListener::Create("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  const DescriptorLimit limit(80);  // of which 20 are reserved
  (*listener)->Start(greeter.handler());
  std::vector<Socket> clients;  // each takes two descriptors of this process: its own and the server's
  clients.push_back(Connect((*listener)->port()));
  EXPECT_FALSE(IsClosed(clients.front()));
  while (clients.back().get() < 70) clients.push_back(Connect((*listener)->port()));
  EXPECT_TRUE(IsClosed(clients.back()));

  clients.clear();
  greeter.HangUp();
  EXPECT_FALSE(IsClosed(Connect((*listener)->port())));
}

TEST(TcpListenerTest, StopClosesThePort) {
  Greeter greeter;
  auto listener = TcpListener::Create("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  (*listener)->Start(greeter.handler());
  const std::string address = absl::StrCat("127.0.0.1:", (*listener)->port());
  (*listener)->Stop();
  EXPECT_TRUE(TcpListener::Create(address).ok());
}

TEST(TcpListenerTest, SaysWhatIsWrongWithAnAddress) {
  EXPECT_EQ(TcpListener::Create("50051").status(), absl::InvalidArgumentError("'50051' is no HOST:PORT"));
  EXPECT_EQ(TcpListener::Create("localhost:").status(), absl::InvalidArgumentError("'localhost:' is no HOST:PORT"));
  EXPECT_EQ(TcpListener::Create("localhost:grpc").status().code(), absl::StatusCode::kInvalidArgument);
  const auto listener = TcpListener::Create("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  const absl::Status taken = TcpListener::Create(absl::StrCat("127.0.0.1:", (*listener)->port())).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(taken.message(), HasSubstr("Address already in use"));
}

}  // namespace
}  // namespace culturetag
