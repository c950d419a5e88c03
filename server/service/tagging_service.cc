#include "service/tagging_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "base/error_details.h"
#include "base/logging.h"
#include "service/proto_convert.h"
#include "service/status_convert.h"
#include "service/tag_stream_reactor.h"

namespace culturetag {

// One call of Tag or Embed. gRPC deletes nothing: OnDone does.
template <typename Proto, typename Response, typename Result>
class TaggingService::UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(TaggingService& service, grpc::CallbackServerContext& context, absl::string_view method, Response& response)
      : service_(service), context_(context), method_(method), response_(response), arrival_(service.clock_.Now()) {}

  // `begin` is Tagger::Tag or Tagger::Embed.
  template <typename Begin>
  void Start(const Proto& proto, Begin begin) {
    Tagger* const tagger = service_.tagger_;
    if (tagger == nullptr) return End(Loading());
    absl::StatusOr<Caller> caller = service_.Identify(context_, /*stream=*/false);
    if (!caller.ok()) return End(caller.status());
    caller_.emplace(*std::move(caller));
    auto request = FromProto(proto);
    if (!request.ok()) {
      const bool bad_audio = absl::StartsWith(FieldOf(request.status()).value_or(""), "audio");
      if (bad_audio) service_.metrics_.RecordRejected(RejectReason::kBadAudio);
      return End(request.status());
    }
    const auto bytes = static_cast<int64_t>(request->audio.size());
    if (const absl::Status taken = TakeBytes(bytes, service_.bytes_in_flight_, service_.metrics_); !taken.ok()) return End(taken);
    bytes_in_flight_ = bytes;
    request->client = caller_->client();
    request->deadline = DeadlineOf(context_, service_.clock_);
    // A reference of its own: the callback may end this reactor before the call has returned.
    const std::shared_ptr<CallSlot> slot = slot_;
    slot->Set((tagger->*begin)(*std::move(request), [this](absl::StatusOr<Result> result) {
      if (result.ok()) {
        caller_->Charge(result->audio_duration);
        ToProto(*result, response_);
      }
      End(result.status());
    }));
  }

  void OnCancel() override { slot_->OnCancel(context_); }

  void OnDone() override {
    service_.bytes_in_flight_.Give(bytes_in_flight_);
    delete this;
  }

 private:
  void End(const absl::Status& status) {
    Finish(service_.Account(context_, method_, caller_.has_value() ? caller_->client() : "", arrival_, status));
  }

  TaggingService& service_;
  grpc::CallbackServerContext& context_;
  const absl::string_view method_;
  Response& response_;
  const absl::Time arrival_;
  absl::optional<Caller> caller_;
  int64_t bytes_in_flight_ = 0;  // taken of the service's budget
  const std::shared_ptr<CallSlot> slot_ = std::make_shared<CallSlot>();
};

grpc::ServerUnaryReactor* TaggingService::Tag(grpc::CallbackServerContext* context, const v1::TagRequest* request,
                                              v1::TagResponse* response) {
  auto* reactor = new UnaryReactor<v1::TagRequest, v1::TagResponse, TagResult>(*this, *context, "Tag", *response);
  reactor->Start(*request, &Tagger::Tag);
  return reactor;
}

grpc::ServerUnaryReactor* TaggingService::Embed(grpc::CallbackServerContext* context, const v1::EmbedRequest* request,
                                                v1::EmbedResponse* response) {
  auto* reactor = new UnaryReactor<v1::EmbedRequest, v1::EmbedResponse, EmbedResult>(*this, *context, "Embed", *response);
  reactor->Start(*request, &Tagger::Embed);
  return reactor;
}

grpc::ServerBidiReactor<v1::TagStreamRequest, v1::TagStreamResponse>* TaggingService::TagStream(
    grpc::CallbackServerContext* context) {
  const auto account = [this, context](absl::string_view client, absl::Time arrival, const absl::Status& status) {
    return Account(*context, "TagStream", client, arrival, status);
  };
  return new TagStreamReactor({tagger_, bytes_in_flight_, clock_, metrics_, account}, Identify(*context, /*stream=*/true), *context);
}

grpc::ServerUnaryReactor* TaggingService::ListModels(grpc::CallbackServerContext* context, const v1::ListModelsRequest*,
                                                     v1::ListModelsResponse* response) {
  const absl::Time arrival = clock_.Now();
  const absl::StatusOr<Caller> caller = Identify(*context, /*stream=*/false);
  absl::Status status = caller.status();
  if (const Tagger* tagger = tagger_; status.ok() && tagger != nullptr) {
    for (const TaggingModel* model : tagger->models()) ToProto(*model, *response->add_models());
  } else if (status.ok()) {
    status = Loading();
  }
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(Account(*context, "ListModels", caller.ok() ? caller->client() : "", arrival, status));
  return reactor;
}

absl::StatusOr<Caller> TaggingService::Identify(const grpc::CallbackServerContext& context, bool stream) {
  absl::StatusOr<Caller> caller = Caller::Identify(context, authenticator_, stream);
  if (!caller.ok()) {
    const bool unknown = absl::IsUnauthenticated(caller.status());
    metrics_.RecordRejected(unknown ? RejectReason::kUnauthenticated : RejectReason::kQuota);
  }
  return caller;
}

grpc::Status TaggingService::Account(grpc::CallbackServerContext& context, absl::string_view method, absl::string_view client,
                                     absl::Time arrival, const absl::Status& status) {
  grpc::Status grpc_status = ToGrpcStatus(status);
  if (const absl::optional<std::string> pushback = RetryPushback(status); pushback.has_value()) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
  }
  const std::string request_id = MetadataValue(context, "x-request-id");
  if (!request_id.empty()) context.AddTrailingMetadata("x-request-id", request_id);
  const absl::Duration duration = clock_.Now() - arrival;
  const absl::string_view code = CodeName(grpc_status.error_code());
  metrics_.RecordRequest(method, code, duration);
  if (log_requests_) {
    LogInfo("request", {{"method", method},
                        {"code", code},
                        {"ms", absl::ToInt64Milliseconds(duration)},
                        {"client", client},
                        {"request_id", request_id},
                        {"traceparent", MetadataValue(context, "traceparent")},
                        {"error", status.message()}});
  }
  return grpc_status;
}

}  // namespace culturetag
