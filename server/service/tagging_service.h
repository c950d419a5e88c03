// The gRPC edge: culturetag.v1.TaggingService over a Tagger.
//
// Callback API: no method blocks; a reactor lives from the arrival of its call until gRPC is done with it.
//
// Thread-safe. The gate must outlive the service.
#ifndef CULTURETAG_SERVICE_TAGGING_SERVICE_H_
#define CULTURETAG_SERVICE_TAGGING_SERVICE_H_

#include "culturetag/v1/tagging.grpc.pb.h"
#include "service/call_gate.h"

namespace culturetag {

class TaggingService final : public v1::TaggingService::CallbackService {
 public:
  explicit TaggingService(CallGate& gate) : gate_(gate) {}

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

  CallGate& gate_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_TAGGING_SERVICE_H_
