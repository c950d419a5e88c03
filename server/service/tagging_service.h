// The gRPC edge: culturetag.v1.TaggingService over a Tagger.
//
// Callback API: no method blocks; a reactor lives from the arrival of its call until gRPC is done with it.
//
// Thread-safe. Metrics and clock must outlive the service; a tagger must outlive it too, or at least all calls.
#ifndef CULTURETAG_SERVICE_TAGGING_SERVICE_H_
#define CULTURETAG_SERVICE_TAGGING_SERVICE_H_

#include <atomic>

#include "base/byte_budget.h"
#include "base/clock.h"
#include "culturetag/v1/tagging.grpc.pb.h"
#include "observability/metrics.h"
#include "service/authenticator.h"
#include "service/call_context.h"
#include "service/tagger.h"

namespace culturetag {

class TaggingService final : public v1::TaggingService::CallbackService {
 public:
  // All requests together hold at most `max_bytes_in_flight` of audio, from the arrival of a message until its response;
  // what comes beyond that is refused with RESOURCE_EXHAUSTED.
  // With an `authenticator`, only those whom it knows may call; it must outlive the service. With `log_requests`, every call
  // has a line in the log.
  TaggingService(int64_t max_bytes_in_flight, const Authenticator* authenticator, bool log_requests, Clock& clock, Metrics& metrics)
      : authenticator_(authenticator),
        log_requests_(log_requests),
        clock_(clock),
        metrics_(metrics),
        bytes_in_flight_(max_bytes_in_flight) {}

  // Opens the service. Before this, calls end with UNAVAILABLE.
  void Serve(Tagger& tagger) { tagger_ = &tagger; }

  grpc::ServerUnaryReactor* Tag(grpc::CallbackServerContext* context, const v1::TagRequest* request,
                                v1::TagResponse* response) override;
  grpc::ServerBidiReactor<v1::TagStreamRequest, v1::TagStreamResponse>* TagStream(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Embed(grpc::CallbackServerContext* context, const v1::EmbedRequest* request,
                                  v1::EmbedResponse* response) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;

 private:
  template <typename Proto, typename Response, typename Result>
  class UnaryReactor;

  // Who calls; counts a refusal.
  absl::StatusOr<Caller> Identify(const grpc::CallbackServerContext& context, bool stream);
  // Counts the call, logs it, echoes its x-request-id, and gives the status for the wire.
  grpc::Status Account(grpc::CallbackServerContext& context, absl::string_view method, absl::string_view client,
                       absl::Time arrival, const absl::Status& status);

  const Authenticator* const authenticator_;
  const bool log_requests_;
  Clock& clock_;
  Metrics& metrics_;
  ByteBudget bytes_in_flight_;
  std::atomic<Tagger*> tagger_{nullptr};
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_TAGGING_SERVICE_H_
