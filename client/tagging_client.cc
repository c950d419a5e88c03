#include "client/tagging_client.h"

#include <climits>
#include <cstdint>
#include <utility>

#include <grpcpp/generic/generic_stub.h>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/types/optional.h"
#include "client/proto_duration.h"
#include "client/stream_attempt.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.pb.h"

namespace culturetag::client {
namespace {

// How long to wait before a refused stream is tried again; nothing where it shouldn't be.
absl::optional<absl::Duration> RetryDelay(const grpc::ClientContext& context, const grpc::Status& status, int attempt) {
  if (attempt >= TaggingClient::kMaxAttempts || (status.error_code() != grpc::StatusCode::UNAVAILABLE &&
                                                 status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED)) {
    return absl::nullopt;
  }
  const auto& trailers = context.GetServerTrailingMetadata();
  if (const auto found = trailers.find("grpc-retry-pushback-ms"); found != trailers.end()) {
    int64_t milliseconds = 0;
    // By gRPC's retry design (gRFC A6), what isn't a number >= 0 says that nobody should come back.
    if (!absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &milliseconds) ||
        milliseconds < 0) {
      return absl::nullopt;
    }
    return absl::Milliseconds(milliseconds);
  }
  return absl::Milliseconds(100) * (1 << attempt);
}

}  // namespace

Channels CreateChannels(const std::string& server, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix("culturetag/" CULTURETAG_VERSION);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  grpc::ChannelArguments stream_arguments = arguments;
  stream_arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // gRPC retries only what it has kept, and by default it keeps no message above 256 KiB: less than a song.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, INT_MAX);
  arguments.SetServiceConfigJSON(absl::StrCat(
      R"({"methodConfig": [{"name": [{"service": "culturetag.v1.TaggingService"}], "retryPolicy": {"maxAttempts": )",
      TaggingClient::kMaxAttempts,
      R"(, "initialBackoff": "0.2s", "maxBackoff": "5s", "backoffMultiplier": 2,)"
      R"( "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]})"));
  return {grpc::CreateCustomChannel(server, credentials, arguments),
          grpc::CreateCustomChannel(server, credentials, stream_arguments)};
}

Failure FailureFromStatus(const grpc::Status& status) {
  Failure failure;
  failure.code = absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
  failure.message = status.error_message();
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return failure;
  for (const google::protobuf::Any& any : details.details()) {
    google::rpc::BadRequest bad_request;
    if (any.UnpackTo(&bad_request) && bad_request.field_violations_size() > 0 && failure.field.empty()) {
      failure.field = bad_request.field_violations(0).field();
    }
    google::rpc::RetryInfo retry_info;
    if (any.UnpackTo(&retry_info) && retry_info.has_retry_delay()) {
      failure.retry_after = FromProto(retry_info.retry_delay());
    }
  }
  return failure;
}

TaggingClient::TaggingClient(Options options, Channels channels)
    : options_(std::move(options)),
      channels_(std::move(channels)),
      stub_(v1::TaggingService::NewStub(channels_.calls)),
      stream_stub_(v1::TaggingService::NewStub(channels_.streams)) {}

void TaggingClient::Tag(std::unique_ptr<v1::TagRequest> request,
                        std::function<void(Outcome<v1::TagResponse>)> done) {
  struct Call {
    absl::optional<grpc::ClientContext> context;
    std::unique_ptr<v1::TagRequest> request;
    v1::TagResponse response;
    std::function<void(Outcome<v1::TagResponse>)> done;
  };
  auto call = std::make_shared<Call>();
  call->request = std::move(request);
  call->done = std::move(done);
  Prepare(call->context.emplace());
  stub_->async()->Tag(&*call->context, call->request.get(), &call->response, [this, call](const grpc::Status& status) {
    call->request.reset();
    Outcome<v1::TagResponse> outcome;
    if (status.ok()) {
      outcome = std::move(call->response);
    } else {
      outcome = ExplainFailure(status, *channels_.calls);
    }
    // The context shares the channel. After `done` the owner may destroy this client, and the last one to let go of the
    // channel must not be this thread: gRPC's threads belong to the channel and can't join themselves.
    call->context.reset();
    call->done(std::move(outcome));
  });
}

Outcome<v1::TagResponse> TaggingClient::TagStream(const v1::TagStreamConfig& config, const AudioInput& audio,
                                                  const WindowListener& on_window) {
  const bool repeatable = audio.rest != nullptr && audio.bytes.empty() && audio.rest->rewindable();
  // Of a pipe nobody knows when more will come.
  const absl::Duration stall_limit = repeatable ? options_.timeout : absl::InfiniteDuration();
  for (int attempt = 1;; ++attempt) {
    grpc::ClientContext context;
    AddMetadata(context);
    StreamResult result = AttemptStream(*stream_stub_, context, config, audio, stall_limit, on_window);
    if (result.read_failure.has_value()) return *std::move(result.read_failure);
    if (result.stalled) {
      return ExplainFailure({grpc::StatusCode::DEADLINE_EXCEEDED, "the stream stood still"}, *channels_.streams);
    }
    if (result.status.ok() && result.summary.has_value()) return *std::move(result.summary);
    if (result.status.ok()) {
      return FailureFromStatus({grpc::StatusCode::INTERNAL, "the server ended the stream without a summary"});
    }
    const absl::optional<absl::Duration> delay = RetryDelay(context, result.status, attempt);
    if (!delay.has_value() || result.answered || !repeatable || !audio.rest->Rewind()) {
      return ExplainFailure(result.status, *channels_.streams);
    }
    absl::SleepFor(*delay);
  }
}

Outcome<v1::EmbedResponse> TaggingClient::Embed(const v1::EmbedRequest& request) {
  grpc::ClientContext context;
  Prepare(context);
  v1::EmbedResponse response;
  const grpc::Status status = stub_->Embed(&context, request, &response);
  if (!status.ok()) return ExplainFailure(status, *channels_.calls);
  return response;
}

Outcome<v1::ListModelsResponse> TaggingClient::ListModels() {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListModelsResponse response;
  const grpc::Status status = stub_->ListModels(&context, {}, &response);
  if (!status.ok()) return ExplainFailure(status, *channels_.calls);
  return response;
}

Outcome<std::string> TaggingClient::CheckHealth() {
  using grpc::health::v1::HealthCheckRequest;
  using grpc::health::v1::HealthCheckResponse;
  grpc::TemplatedGenericStub<HealthCheckRequest, HealthCheckResponse> stub(channels_.calls);
  grpc::ClientContext context;
  Prepare(context);
  const HealthCheckRequest request;
  HealthCheckResponse response;
  grpc::Status status;
  absl::Notification finished;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response, [&](const grpc::Status& end) {
    status = end;
    finished.Notify();
  });
  finished.WaitForNotification();
  if (!status.ok()) return ExplainFailure(status, *channels_.calls);
  return HealthCheckResponse::ServingStatus_Name(response.status());
}

void TaggingClient::AddMetadata(grpc::ClientContext& context) const {
  if (!options_.token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", options_.token));
  if (!options_.client_id.empty()) context.AddMetadata("x-client-id", options_.client_id);
}

void TaggingClient::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
  AddMetadata(context);
}

Failure TaggingClient::ExplainFailure(const grpc::Status& status, grpc::Channel& channel) const {
  Failure failure = FailureFromStatus(status);
  // A server that answers UNAVAILABLE leaves the channel connected.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
      channel.GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_TRANSIENT_FAILURE) {
    failure.server_unreachable = true;
    failure.message = absl::StrCat("no server answers at ", options_.server, "; is culturetag-server running there? (",
                                   failure.message, ")");
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    failure.message = absl::StrCat("no answer within --timeout=", absl::FormatDuration(options_.timeout), " (",
                                   failure.message, ")");
  }
  return failure;
}

}  // namespace culturetag::client
