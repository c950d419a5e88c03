#include "client/tagging_client.h"

#include <climits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace culturetag::client {
namespace {

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace

std::shared_ptr<grpc::Channel> CreateChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix("culturetag/" CULTURETAG_VERSION);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // gRPC retries only what it has kept, and by default it keeps no message above 256 KiB: less than a song.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, INT_MAX);
  arguments.SetServiceConfigJSON(absl::StrCat(
      R"({"methodConfig": [{"name": [{"service": "culturetag.v1.TaggingService"}], "retryPolicy": {"maxAttempts": )",
      TaggingClient::kMaxAttempts,
      R"(, "initialBackoff": "0.2s", "maxBackoff": "5s", "backoffMultiplier": 2,)"
      R"( "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]})"));
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
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

TaggingClient::TaggingClient(Options options, std::shared_ptr<grpc::Channel> channel)
    : options_(std::move(options)), channel_(std::move(channel)), stub_(v1::TaggingService::NewStub(channel_)) {}

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
      outcome = ExplainFailure(status);
    }
    // The context shares the channel. After `done` the owner may destroy this client, and the last one to let go of the
    // channel must not be this thread: gRPC's threads belong to the channel and can't join themselves.
    call->context.reset();
    call->done(std::move(outcome));
  });
}

Outcome<v1::ListModelsResponse> TaggingClient::ListModels() {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListModelsResponse response;
  const grpc::Status status = stub_->ListModels(&context, {}, &response);
  if (!status.ok()) return ExplainFailure(status);
  return response;
}

void TaggingClient::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
  if (!options_.token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", options_.token));
}

Failure TaggingClient::ExplainFailure(const grpc::Status& status) const {
  Failure failure = FailureFromStatus(status);
  // A server that answers UNAVAILABLE leaves the channel connected.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
      channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_TRANSIENT_FAILURE) {
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
