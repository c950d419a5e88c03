// An address at which no server answers.
#ifndef CULTURETAG_TESTS_CLIENT_DEAF_PORT_H_
#define CULTURETAG_TESTS_CLIENT_DEAF_PORT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

namespace culturetag::client {

// A port of this machine that is taken, so that no other program listens on it, and refuses to connect.
class DeafPort {
 public:
  DeafPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    auto* const address = reinterpret_cast<sockaddr*>(&address_);
    EXPECT_EQ(bind(socket_, address, size), 0);
    EXPECT_EQ(getsockname(socket_, address, &size), 0);
  }
  ~DeafPort() { close(socket_); }
  DeafPort(const DeafPort&) = delete;
  DeafPort& operator=(const DeafPort&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

 private:
  const int socket_;
  sockaddr_in address_{};
};

}  // namespace culturetag::client

#endif  // CULTURETAG_TESTS_CLIENT_DEAF_PORT_H_
