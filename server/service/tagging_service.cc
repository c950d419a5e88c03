#include "service/tagging_service.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "base/error_details.h"
#include "service/proto_convert.h"
#include "service/status_convert.h"

namespace culturetag {
namespace {

// About the time in which a clip is decoded and scored, and its bytes are free again.
constexpr absl::Duration kBytesRetryDelay = absl::Milliseconds(500);

absl::Status Loading() { return absl::UnavailableError("the models are being loaded; try again soon"); }

// gRPC's deadline, on the system's clock, as a time of `clock`.
absl::Time DeadlineOf(const grpc::CallbackServerContext& context, const Clock& clock) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return clock.Now() + absl::FromChrono(deadline - std::chrono::system_clock::now());
}

// Whom the call counts for: the `x-client-id` metadata, or the peer's address without its port, which changes with each
// connection.
std::string ClientOf(const grpc::CallbackServerContext& context) {
  constexpr size_t kMaxBytes = 128;
  const auto& metadata = context.client_metadata();
  if (const auto id = metadata.find("x-client-id"); id != metadata.end()) {
    return std::string(id->second.data(), std::min(id->second.size(), kMaxBytes));
  }
  const std::string peer = context.peer();  // "ipv4:10.0.0.1:41234", "ipv6:%5B::1%5D:41234", "unix:"
  const bool has_port = absl::StartsWith(peer, "ipv");
  return has_port ? peer.substr(0, peer.rfind(':')) : peer;
}

}  // namespace

// One Tag call. gRPC deletes nothing: OnDone does.
class TaggingService::TagReactor final : public grpc::ServerUnaryReactor {
 public:
  TagReactor(TaggingService& service, grpc::CallbackServerContext& context, v1::TagResponse& response)
      : service_(service), context_(context), response_(response), arrival_(service.clock_.Now()) {}

  void Start(const v1::TagRequest& proto) {
    Tagger* const tagger = service_.tagger_;
    if (tagger == nullptr) return End(Loading());
    absl::StatusOr<TagRequest> request = FromProto(proto);
    if (!request.ok()) {
      const bool bad_audio = absl::StartsWith(FieldOf(request.status()).value_or(""), "audio");
      if (bad_audio) service_.metrics_.RecordRejected(RejectReason::kBadAudio);
      return End(request.status());
    }
    const auto bytes = static_cast<int64_t>(request->audio.size());
    if (!service_.bytes_in_flight_.TryTake(bytes)) {
      service_.metrics_.RecordRejected(RejectReason::kQueueFull);
      return End(RetryLater("too much audio is in flight", kBytesRetryDelay));
    }
    bytes_in_flight_ = bytes;
    request->deadline = DeadlineOf(context_, service_.clock_);
    request->client = ClientOf(context_);
    // A reference of its own: the callback may end this reactor before Tag has returned.
    const std::shared_ptr<CallSlot> slot = slot_;
    std::shared_ptr<Tagger::Call> call =
        tagger->Tag(*std::move(request), [this](absl::StatusOr<TagResult> result) {
          if (result.ok()) ToProto(*result, response_);
          End(result.status());
        });
    slot->Set(std::move(call));
  }

  // The client gave up, or its deadline passed.
  void OnCancel() override {
    const bool expired = context_.deadline() <= std::chrono::system_clock::now();
    if (expired) {
      slot_->Cancel(WasteReason::kExpired, absl::DeadlineExceededError("the deadline passed"));
    } else {
      slot_->Cancel(WasteReason::kCancelled, absl::CancelledError("the client gave up"));
    }
  }

  void OnDone() override {
    service_.bytes_in_flight_.Give(bytes_in_flight_);
    delete this;
  }

 private:
  // Where a cancellation meets the call that it cancels, whichever comes first.
  class CallSlot {
   public:
    void Set(std::shared_ptr<Tagger::Call> call) {
      absl::MutexLock lock(&mutex_);
      call_ = std::move(call);
      if (call_ != nullptr && cancelled_) call_->Cancel(reason_, status_);
    }
    void Cancel(WasteReason reason, absl::Status status) {
      std::shared_ptr<Tagger::Call> call;
      {
        absl::MutexLock lock(&mutex_);
        cancelled_ = true;
        reason_ = reason;
        status_ = status;
        call = call_;
      }
      if (call != nullptr) call->Cancel(reason, std::move(status));
    }

   private:
    absl::Mutex mutex_;
    std::shared_ptr<Tagger::Call> call_ ABSL_GUARDED_BY(mutex_);
    bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
    WasteReason reason_ ABSL_GUARDED_BY(mutex_) = WasteReason::kCancelled;
    absl::Status status_ ABSL_GUARDED_BY(mutex_);
  };

  void End(const absl::Status& status) { service_.Finish(context_, *this, "Tag", arrival_, status); }

  TaggingService& service_;
  grpc::CallbackServerContext& context_;
  v1::TagResponse& response_;
  const absl::Time arrival_;
  int64_t bytes_in_flight_ = 0;  // taken of the service's budget
  const std::shared_ptr<CallSlot> slot_ = std::make_shared<CallSlot>();
};

grpc::ServerUnaryReactor* TaggingService::Tag(grpc::CallbackServerContext* context, const v1::TagRequest* request,
                                              v1::TagResponse* response) {
  auto* reactor = new TagReactor(*this, *context, *response);
  reactor->Start(*request);
  return reactor;
}

grpc::ServerUnaryReactor* TaggingService::ListModels(grpc::CallbackServerContext* context, const v1::ListModelsRequest*,
                                                     v1::ListModelsResponse* response) {
  const absl::Time arrival = clock_.Now();
  absl::Status status;
  if (const Tagger* tagger = tagger_; tagger != nullptr) {
    for (const TaggingModel* model : tagger->models()) ToProto(*model, *response->add_models());
  } else {
    status = Loading();
  }
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  Finish(*context, *reactor, "ListModels", arrival, status);
  return reactor;
}

void TaggingService::Finish(grpc::CallbackServerContext& context, grpc::ServerUnaryReactor& reactor, absl::string_view method,
                            absl::Time arrival, const absl::Status& status) {
  const grpc::Status grpc_status = ToGrpcStatus(status);
  if (const absl::optional<std::string> pushback = RetryPushback(status); pushback.has_value()) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
  }
  metrics_.RecordRequest(method, CodeName(grpc_status.error_code()), clock_.Now() - arrival);
  reactor.Finish(grpc_status);
}

}  // namespace culturetag
