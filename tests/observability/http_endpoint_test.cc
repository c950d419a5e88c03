#include "observability/http_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The whole answer to a GET of `path` from the local `port`.
std::string Get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string answer;
  char block[4096];
  for (ssize_t n = 0; (n = recv(fd, block, sizeof(block), 0)) > 0;) answer.append(block, static_cast<size_t>(n));
  close(fd);
  return answer;
}

TEST(HttpEndpointTest, AnswersTheGivenPathsAndNoOthers) {
  const auto endpoint = HttpEndpoint::Create("127.0.0.1:0", {{"/metrics", [] { return HttpResponse{200, "text/plain", "up 1\n"}; }},
                                                             {"/readyz", [] { return HttpResponse{503, "text/plain", "no\n"}; }}});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  ASSERT_GT((*endpoint)->port(), 0);
  EXPECT_THAT(Get((*endpoint)->port(), "/metrics"), testing::AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\n\r\nup 1\n")));
  EXPECT_THAT(Get((*endpoint)->port(), "/readyz"), testing::AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("no\n")));
  EXPECT_THAT(Get((*endpoint)->port(), "/metrics/else"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get((*endpoint)->port(), "/"), StartsWith("HTTP/1.1 404 "));
}

TEST(HttpEndpointTest, SaysThatAPortIsTaken) {
  const auto first = HttpEndpoint::Create("127.0.0.1:0", {});
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string address = absl::StrCat("127.0.0.1:", (*first)->port());
  const auto second = HttpEndpoint::Create(address, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
}

}  // namespace
}  // namespace culturetag
