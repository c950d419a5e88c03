// A TaggingService on a free port of this machine whose answers the test writes.
#ifndef CULTURETAG_TESTS_CLIENT_FAKE_TAGGING_SERVICE_H_
#define CULTURETAG_TESTS_CLIENT_FAKE_TAGGING_SERVICE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "culturetag/v1/tagging.grpc.pb.h"
#include "google/rpc/status.pb.h"

namespace culturetag::client {

class FakeTaggingService final : public v1::TaggingService::Service {
 public:
  using TagHandler = std::function<grpc::Status(grpc::ServerContext&, const v1::TagRequest&, v1::TagResponse&)>;

  // Serves until destroyed. `on_tag` runs on several threads at once; it may block, but not past the last call to the
  // service.
  explicit FakeTaggingService(TagHandler on_tag, v1::ListModelsResponse models = {})
      : on_tag_(std::move(on_tag)), models_(std::move(models)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeTaggingService() override { server_->Shutdown(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::Status Tag(grpc::ServerContext* context, const v1::TagRequest* request, v1::TagResponse* response) override {
    return on_tag_(*context, *request, *response);
  }

  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* response) override {
    *response = models_;
    return grpc::Status::OK;
  }

 private:
  const TagHandler on_tag_;
  const v1::ListModelsResponse models_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// An answer from which the test can tell whose it is: the audio comes back as the format.
inline grpc::Status Echo(const v1::TagRequest& request, v1::TagResponse& response) {
  response.mutable_audio()->set_format(request.audio().encoded());
  return grpc::Status::OK;
}

// An error with google.rpc details, in the form in which a server sends them.
inline grpc::Status StatusWithDetails(grpc::StatusCode code, const std::string& message,
                                      const std::vector<const google::protobuf::Message*>& details) {
  google::rpc::Status status;
  for (const google::protobuf::Message* detail : details) status.add_details()->PackFrom(*detail);
  return grpc::Status(code, message, status.SerializeAsString());
}

}  // namespace culturetag::client

#endif  // CULTURETAG_TESTS_CLIENT_FAKE_TAGGING_SERVICE_H_
