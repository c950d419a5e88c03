// The other gRPC edge: the Open Inference Protocol, version 2, over the same Tagger, for tools that speak it.
//
// Callback API: no method blocks. Thread-safe. The gate must outlive the service.
#ifndef CULTURETAG_SERVICE_OIP_SERVICE_H_
#define CULTURETAG_SERVICE_OIP_SERVICE_H_

#include <functional>
#include <string>

#include "inference/open_inference.grpc.pb.h"
#include "service/call_gate.h"

namespace culturetag {

class OipService final : public inference::GRPCInferenceService::CallbackService {
 public:
  // `version` is the program's. `ready` says whether health is SERVING; it is called from any thread.
  OipService(CallGate& gate, std::string version, std::function<bool()> ready)
      : gate_(gate), version_(std::move(version)), ready_(std::move(ready)) {}

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context, const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* context, const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* context, const inference::ModelReadyRequest* request,
                                       inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* context, const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context, const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context, const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override;

 private:
  class InferReactor;

  CallGate& gate_;
  const std::string version_;
  const std::function<bool()> ready_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_OIP_SERVICE_H_
