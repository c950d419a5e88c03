// The calls of culturetag.v1.TaggingService, with errors as Failures.
//
// Refusals that may pass (UNAVAILABLE and RESOURCE_EXHAUSTED) are retried, up to kMaxAttempts in all, after the wait
// that the server asks for in `grpc-retry-pushback-ms` or else an exponential one. gRPC itself does so for single
// messages, which it keeps for that; TagStream, which nobody keeps in memory, begins its file again.
//
// Thread-safe. Must outlive its calls.
#ifndef CULTURETAG_CLIENT_TAGGING_CLIENT_H_
#define CULTURETAG_CLIENT_TAGGING_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "absl/time/time.h"
#include "client/audio_file.h"
#include "client/failure.h"
#include "culturetag/v1/tagging.grpc.pb.h"

namespace culturetag::client {

// Both lead to the same server.
struct Channels {
  std::shared_ptr<grpc::Channel> calls;    // retries by gRPC
  std::shared_ptr<grpc::Channel> streams;  // no retries by gRPC, which would keep up to 2 GiB of each stream for them
};

// Channels to `server` that take messages of any size and name this client as their user agent. Returns at once; they
// connect with the first call.
Channels CreateChannels(const std::string& server, const std::shared_ptr<grpc::ChannelCredentials>& credentials =
                                                       grpc::InsecureChannelCredentials());

class TaggingClient {
 public:
  struct Options {
    // A gRPC target, in the common case HOST:PORT.
    std::string server = "localhost:50051";
    // How long a call may take, its retries included. For a stream of a file: how long nothing may move.
    absl::Duration timeout = absl::Seconds(60);
    // A bearer token for the `authorization` metadata; empty: none. Visible ASCII.
    std::string token;
    // Whose share of the server the calls count against (`x-client-id`); empty: that of this machine's address. Visible
    // ASCII.
    std::string client_id;
  };

  using WindowListener = std::function<void(const v1::WindowResult&)>;

  // gRPC allows five at most.
  static constexpr int kMaxAttempts = 4;

  // `channels` are those of CreateChannels(options.server).
  TaggingClient(Options options, Channels channels);

  // Starts a call and returns at once. `done` runs once, on a thread of gRPC's; it must not block. By then the request
  // is freed and the call has let go of the channel.
  void Tag(std::unique_ptr<v1::TagRequest> request, std::function<void(Outcome<v1::TagResponse>)> done);

  // Sends `audio` as it is read, in chunks of at most 1 MiB, and returns the summary. `on_window` gets each window's
  // tags as soon as they are there, on the calling thread. Stopping `audio.rest` ends the audio early; the summary then
  // is of what was sent. Refusals are retried only while no answer has come, and if `audio.rest` can be read again.
  Outcome<v1::TagResponse> TagStream(const v1::TagStreamConfig& config, const AudioInput& audio,
                                     const WindowListener& on_window);

  // These call and wait for the answer.
  Outcome<v1::EmbedResponse> Embed(const v1::EmbedRequest& request);
  Outcome<v1::ListModelsResponse> ListModels();
  // The server's health by grpc.health.v1: the name of its status, for example "SERVING".
  Outcome<std::string> CheckHealth();

 private:
  void AddMetadata(grpc::ClientContext& context) const;
  void Prepare(grpc::ClientContext& context) const;
  Failure ExplainFailure(const grpc::Status& status, grpc::Channel& channel) const;

  const Options options_;
  const Channels channels_;
  const std::unique_ptr<v1::TaggingService::Stub> stub_;
  const std::unique_ptr<v1::TaggingService::Stub> stream_stub_;
};

// `status`, which isn't OK, with what its google.rpc details say. Of several field violations the first is kept: people
// mend one at a time. Details that can't be parsed are passed over.
Failure FailureFromStatus(const grpc::Status& status);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TAGGING_CLIENT_H_
