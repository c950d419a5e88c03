// The calls of culturetag.v1.TaggingService, with errors as Failures.
//
// Refusals that may pass (UNAVAILABLE and RESOURCE_EXHAUSTED) are retried by gRPC itself, up to kMaxAttempts in all,
// after the wait that the server asks for in `grpc-retry-pushback-ms` or else an exponential one; the timeout covers
// all attempts.
//
// Thread-safe. Must outlive its calls.
#ifndef CULTURETAG_CLIENT_TAGGING_CLIENT_H_
#define CULTURETAG_CLIENT_TAGGING_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "absl/time/time.h"
#include "client/failure.h"
#include "culturetag/v1/tagging.grpc.pb.h"

namespace culturetag::client {

class TaggingClient {
 public:
  struct Options {
    // A gRPC target, in the common case HOST:PORT.
    std::string server = "localhost:50051";
    // How long a call may take, its retries included.
    absl::Duration timeout = absl::Seconds(60);
    // A bearer token for the `authorization` metadata; empty: none. Visible ASCII.
    std::string token;
  };

  // gRPC allows five at most.
  static constexpr int kMaxAttempts = 4;

  // `channel` is one of CreateChannel(options.server).
  TaggingClient(Options options, std::shared_ptr<grpc::Channel> channel);

  // Starts a call and returns at once. `done` runs once, on a thread of gRPC's; it must not block. By then the request
  // is freed and the call has let go of the channel.
  void Tag(std::unique_ptr<v1::TagRequest> request, std::function<void(Outcome<v1::TagResponse>)> done);

  // Calls and waits for the answer.
  Outcome<v1::ListModelsResponse> ListModels();

 private:
  void Prepare(grpc::ClientContext& context) const;
  Failure ExplainFailure(const grpc::Status& status) const;

  const Options options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::TaggingService::Stub> stub_;
};

// A channel to `server` that retries as said above, takes messages of any size and names this client as its user agent.
// Returns at once; connects with the first call.
std::shared_ptr<grpc::Channel> CreateChannel(const std::string& server);

// `status`, which isn't OK, with what its google.rpc details say. Of several field violations the first is kept: people
// mend one at a time. Details that can't be parsed are passed over.
Failure FailureFromStatus(const grpc::Status& status);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TAGGING_CLIENT_H_
