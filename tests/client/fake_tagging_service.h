// A TaggingService on a free port of this machine whose answers the test writes.
#ifndef CULTURETAG_TESTS_CLIENT_FAKE_TAGGING_SERVICE_H_
#define CULTURETAG_TESTS_CLIENT_FAKE_TAGGING_SERVICE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include "culturetag/v1/tagging.grpc.pb.h"
#include "google/rpc/status.pb.h"

namespace culturetag::client {

class FakeTaggingService final : public v1::TaggingService::Service {
 public:
  using TagHandler = std::function<grpc::Status(grpc::ServerContext&, const v1::TagRequest&, v1::TagResponse&)>;
  using EmbedHandler = std::function<grpc::Status(const v1::EmbedRequest&, v1::EmbedResponse&)>;
  using Stream = grpc::ServerReaderWriter<v1::TagStreamResponse, v1::TagStreamRequest>;
  using StreamHandler = std::function<grpc::Status(grpc::ServerContext&, Stream&)>;

  // Serves until destroyed. `on_tag` runs on several threads at once; it may block, but not past the last call to the
  // service.
  explicit FakeTaggingService(
      TagHandler on_tag, v1::ListModelsResponse models = {},
      const std::shared_ptr<grpc::ServerCredentials>& credentials = grpc::InsecureServerCredentials())
      : on_tag_(std::move(on_tag)), models_(std::move(models)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterService(this);
    grpc::EnableDefaultHealthCheckService(true);
    server_ = builder.BuildAndStart();
  }
  ~FakeTaggingService() override { server_->Shutdown(); }

  // To be set before the first call. Without them the calls are UNIMPLEMENTED.
  EmbedHandler on_embed;
  StreamHandler on_stream;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  void SetServing(bool serving) { server_->GetHealthCheckService()->SetServingStatus(serving); }

  grpc::Status Tag(grpc::ServerContext* context, const v1::TagRequest* request, v1::TagResponse* response) override {
    return on_tag_(*context, *request, *response);
  }

  grpc::Status Embed(grpc::ServerContext*, const v1::EmbedRequest* request, v1::EmbedResponse* response) override {
    return on_embed ? on_embed(*request, *response) : grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "");
  }

  grpc::Status TagStream(grpc::ServerContext* context, Stream* stream) override {
    return on_stream ? on_stream(*context, *stream) : grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "");
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

// Reads a stream to its end and returns its data; `config` gets its first message's.
inline std::string ReadStream(FakeTaggingService::Stream& stream, v1::TagStreamConfig& config) {
  std::string data;
  v1::TagStreamRequest request;
  while (stream.Read(&request)) {
    if (request.has_config()) config = request.config();
    data += request.data();
  }
  return data;
}

// A summary from which the test can tell whose it is, as with Echo.
inline void WriteSummary(FakeTaggingService::Stream& stream, const std::string& format) {
  v1::TagStreamResponse response;
  response.mutable_summary()->mutable_audio()->set_format(format);
  stream.Write(response);
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
