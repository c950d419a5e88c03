// A small HTTP server for scrapers and probes: GET of a few fixed paths, nothing else.
//
// Thread-safe. The handlers run on the endpoint's own threads, must be thread-safe, and must not be destroyed before the
// endpoint.
#ifndef CULTURETAG_OBSERVABILITY_HTTP_ENDPOINT_H_
#define CULTURETAG_OBSERVABILITY_HTTP_ENDPOINT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace culturetag {

struct HttpResponse {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpEndpoint {
 public:
  // From a path ("/metrics") to what answers it.
  using Handlers = std::map<std::string, std::function<HttpResponse()>>;

  // Listens on `address`, "HOST:PORT", port 0 for any free one. UNAVAILABLE if it can't be had.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Create(const std::string& address, Handlers handlers);

  // Stops listening and waits for the requests under way.
  virtual ~HttpEndpoint() = default;

  // The port that it listens on.
  virtual int port() const = 0;
};

}  // namespace culturetag

#endif  // CULTURETAG_OBSERVABILITY_HTTP_ENDPOINT_H_
