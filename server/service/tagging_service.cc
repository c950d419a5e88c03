#include "service/tagging_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "base/error_details.h"
#include "service/proto_convert.h"
#include "service/tag_stream_reactor.h"

namespace culturetag {

// One call of Tag or Embed. gRPC deletes nothing: OnDone does.
template <typename Proto, typename Response, typename Result>
class TaggingService::UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(CallGate& gate, grpc::CallbackServerContext& context, absl::string_view method, Response& response)
      : gate_(gate), context_(context), method_(method), response_(response), arrival_(gate.clock().Now()) {}

  // `begin` is CachingTagger::Tag or CachingTagger::Embed.
  template <typename Begin>
  void Start(const Proto& proto, Begin begin) {
    if (gate_.tagger() == nullptr) return End(Loading());
    absl::StatusOr<Caller> caller = gate_.Identify(context_, /*stream=*/false);
    if (!caller.ok()) return End(caller.status());
    caller_.emplace(*std::move(caller));
    auto request = FromProto(proto);
    if (!request.ok()) {
      const bool bad_audio = absl::StartsWith(FieldOf(request.status()).value_or(""), "audio");
      if (bad_audio) gate_.metrics().RecordRejected(RejectReason::kBadAudio);
      return End(request.status());
    }
    const auto bytes = static_cast<int64_t>(request->audio.size());
    if (const absl::Status taken = gate_.TakeBytes(bytes); !taken.ok()) return End(taken);
    bytes_in_flight_ = bytes;
    request->client = caller_->client();
    request->deadline = DeadlineOf(context_, gate_.clock());
    // A reference of its own: the callback may end this reactor before the call has returned.
    const std::shared_ptr<CallSlot> slot = slot_;
    slot->Add((gate_.answers().*begin)(*std::move(request), [this](absl::StatusOr<Result> result) {
      if (result.ok()) {
        caller_->Charge(result->audio_duration);
        ToProto(*result, response_);
      }
      End(result.status(), result.ok() ? &*result : nullptr);
    }));
  }

  void OnCancel() override { slot_->OnCancel(context_); }

  void OnDone() override {
    gate_.GiveBytes(bytes_in_flight_);
    delete this;
  }

 private:
  void End(const absl::Status& status, const CallResult* result = nullptr) {
    Finish(gate_.Account(context_, method_, caller_.has_value() ? caller_->client() : "", arrival_, status, result));
  }

  CallGate& gate_;
  grpc::CallbackServerContext& context_;
  const absl::string_view method_;
  Response& response_;
  const absl::Time arrival_;
  absl::optional<Caller> caller_;
  int64_t bytes_in_flight_ = 0;  // taken of the gate's budget
  const std::shared_ptr<CallSlot> slot_ = std::make_shared<CallSlot>();
};

grpc::ServerUnaryReactor* TaggingService::Tag(grpc::CallbackServerContext* context, const v1::TagRequest* request,
                                              v1::TagResponse* response) {
  auto* reactor = new UnaryReactor<v1::TagRequest, v1::TagResponse, TagResult>(gate_, *context, "Tag", *response);
  reactor->Start(*request, &CachingTagger::Tag);
  return reactor;
}

grpc::ServerUnaryReactor* TaggingService::Embed(grpc::CallbackServerContext* context, const v1::EmbedRequest* request,
                                                v1::EmbedResponse* response) {
  auto* reactor = new UnaryReactor<v1::EmbedRequest, v1::EmbedResponse, EmbedResult>(gate_, *context, "Embed", *response);
  reactor->Start(*request, &CachingTagger::Embed);
  return reactor;
}

grpc::ServerBidiReactor<v1::TagStreamRequest, v1::TagStreamResponse>* TaggingService::TagStream(
    grpc::CallbackServerContext* context) {
  return new TagStreamReactor(gate_, *context);
}

grpc::ServerUnaryReactor* TaggingService::ListModels(grpc::CallbackServerContext* context, const v1::ListModelsRequest*,
                                                     v1::ListModelsResponse* response) {
  return gate_.Answer(*context, "ListModels", [response](const Tagger* tagger) {
    if (tagger == nullptr) return Loading();
    for (const auto& model : tagger->models()) ToProto(*model, *response->add_models());
    return absl::OkStatus();
  });
}

}  // namespace culturetag
