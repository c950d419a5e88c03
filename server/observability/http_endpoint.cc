#include "observability/http_endpoint.h"

#include <utility>
#include <vector>

#include "CivetServer.h"
#include "absl/strings/str_cat.h"

namespace culturetag {
namespace {

class PathHandler final : public CivetHandler {
 public:
  PathHandler(std::string path, std::function<HttpResponse()> respond)
      : path_(std::move(path)), respond_(std::move(respond)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    // civetweb matches prefixes; a probe of "/readyz/x" is a mistake that shouldn't look like success.
    if (path_ != mg_get_request_info(connection)->local_uri) return false;
    const HttpResponse response = respond_();
    mg_printf(connection,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
              "Connection: close\r\n\r\n",
              response.code, mg_get_response_code_text(connection, response.code), response.content_type.c_str(),
              response.body.size());
    mg_write(connection, response.body.data(), response.body.size());
    return true;
  }

 private:
  const std::string path_;
  const std::function<HttpResponse()> respond_;
};

class CivetEndpoint final : public HttpEndpoint {
 public:
  CivetEndpoint(const std::vector<std::string>& options, Handlers handlers) : server_(options) {
    for (auto& [path, respond] : handlers) {
      paths_.push_back(std::make_unique<PathHandler>(path, std::move(respond)));
      server_.addHandler(path, *paths_.back());
    }
  }

  // The server's destructor would come after the handlers'; it must not.
  ~CivetEndpoint() override { server_.close(); }

  int port() const override { return const_cast<CivetServer&>(server_).getListeningPorts().at(0); }

 private:
  CivetServer server_;
  std::vector<std::unique_ptr<PathHandler>> paths_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Create(const std::string& address, Handlers handlers) {
  // A thread a connection: enough that a few clients that dawdle, and are dropped after a second, can't starve a probe.
  const std::vector<std::string> options = {"listening_ports",    address, "num_threads",         "16",
                                            "request_timeout_ms", "1000",  "enable_keep_alive",   "no",
                                            "enable_directory_listing", "no"};
  try {
    return std::make_unique<CivetEndpoint>(options, std::move(handlers));
  } catch (const CivetException& error) {
    return absl::UnavailableError(absl::StrCat("can't serve HTTP on ", address, ": ", error.what(),
                                               " (is the port taken, or the address not this machine's?)"));
  }
}

}  // namespace culturetag
