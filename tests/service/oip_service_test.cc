#include "service/oip_service.h"

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint32_t kRate = 4000;
constexpr int kWindow = 400;

// The model takes files' rate, so that nothing is resampled.
ModelSpec FileSpec() {
  ModelSpec spec = FakeSpec();
  spec.sample_rate_hz = kRate;
  spec.window_samples = spec.hop_samples = kWindow;
  return spec;
}

// A WAV file of that many windows, in which each 16-bit sample is `value`.
std::string Wav(int windows, int16_t value) {
  std::string file;
  const auto append = [&file](uint32_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) file.push_back(static_cast<char>(number >> (8 * i)));
  };
  const auto data_bytes = static_cast<uint32_t>(2 * windows * kWindow);
  file += "RIFF";
  append(36 + data_bytes, 4);
  file += "WAVEfmt ";
  append(16, 4);
  append(1, 2);  // PCM
  append(1, 2);  // channel
  append(kRate, 4);
  append(2 * kRate, 4);
  append(2, 2);
  append(16, 2);
  file += "data";
  append(data_bytes, 4);
  for (int i = 0; i < windows * kWindow; ++i) append(static_cast<uint16_t>(value), 2);
  return file;
}

// The service on a loopback port over a fake model, with a stock client.
class OipServiceTest : public testing::Test {
 protected:
  OipServiceTest() {
    WindowBatcher::Options options;
    options.max_batch_windows = 4;
    batcher_ = std::make_unique<WindowBatcher>(options, std::vector<std::vector<TaggingModel*>>{{&model_}}, clock_, metrics_);
    EXPECT_TRUE(batcher_->WaitUntilWarm().ok());
    model_.ForgetPasses();
    tagger_ = std::make_unique<Tagger>(Tagger::Options{}, std::vector<const TaggingModel*>{&model_}, decoders_, *batcher_, clock_,
                                       metrics_);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = inference::GRPCInferenceService::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  }
  ~OipServiceTest() override {
    model_.Release();
    tagger_->Drain(absl::InfiniteFuture());
    server_->Shutdown();
    EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
  }

  static inference::ModelInferRequest Request(std::initializer_list<std::string> files) {
    inference::ModelInferRequest request;
    request.set_model_name("fake");
    auto& tensor = *request.add_inputs();
    tensor.set_name("AUDIO");
    tensor.set_datatype("BYTES");
    tensor.add_shape(static_cast<int64_t>(files.size()));
    for (const std::string& file : files) tensor.mutable_contents()->add_bytes_contents(file);
    return request;
  }

  grpc::Status Infer(const inference::ModelInferRequest& request) {
    grpc::ClientContext context;
    return stub_->ModelInfer(&context, request, &response_);
  }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel model_{FileSpec(), &clock_};
  WorkerPool decoders_{1, 8};
  std::unique_ptr<WindowBatcher> batcher_;
  std::unique_ptr<Tagger> tagger_;
  CallGate gate_{5000, nullptr, /*log_requests=*/true, clock_, metrics_};
  std::atomic<bool> ready_{true};
  OipService service_{gate_, "9.8.7", [this] { return ready_.load(); }};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  inference::ModelInferResponse response_;
};

TEST_F(OipServiceTest, IsLiveBeforeItServesAndReadyWhenHealthSaysSo) {
  grpc::ClientContext live_context, early_context, ready_context, late_context;
  inference::ServerLiveResponse live;
  ASSERT_TRUE(stub_->ServerLive(&live_context, {}, &live).ok());
  EXPECT_TRUE(live.live());
  inference::ModelReadyResponse model;
  ASSERT_TRUE(stub_->ModelReady(&early_context, {}, &model).ok());
  EXPECT_FALSE(model.ready());  // the models are being loaded
  inference::ServerReadyResponse ready;
  ASSERT_TRUE(stub_->ServerReady(&ready_context, {}, &ready).ok());
  EXPECT_TRUE(ready.ready());
  ready_ = false;
  ASSERT_TRUE(stub_->ServerReady(&late_context, {}, &ready).ok());
  EXPECT_FALSE(ready.ready());
}

TEST_F(OipServiceTest, IsUnavailableUntilItServes) {
  EXPECT_EQ(Infer(Request({Wav(1, 1)})).error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext context;
  inference::ModelMetadataResponse metadata;
  EXPECT_EQ(stub_->ModelMetadata(&context, {}, &metadata).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(OipServiceTest, AModelIsReadyWithTheServer) {
  gate_.Serve(*tagger_);
  inference::ModelReadyRequest request;
  request.set_name("fake");
  request.set_version("1.2.3");
  inference::ModelReadyResponse response;
  grpc::ClientContext well_context, sick_context;
  ASSERT_TRUE(stub_->ModelReady(&well_context, request, &response).ok());
  EXPECT_TRUE(response.ready());
  ready_ = false;
  ASSERT_TRUE(stub_->ModelReady(&sick_context, request, &response).ok());
  EXPECT_FALSE(response.ready());
}

TEST_F(OipServiceTest, SaysWhichModelsAndVersionsThereAre) {
  gate_.Serve(*tagger_);
  inference::ModelInferRequest request = Request({Wav(1, 1)});
  request.set_model_name("other");
  const grpc::Status unknown = Infer(request);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(unknown.error_message(), HasSubstr("fake"));
  request.set_model_name("fake");
  request.set_model_version("2");
  const grpc::Status old = Infer(request);
  EXPECT_EQ(old.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(old.error_message(), "the model \"fake\" has no version \"2\"; it has 1.2.3");
}

TEST_F(OipServiceTest, NamesItselfAndDescribesItsModel) {
  gate_.Serve(*tagger_);
  grpc::ClientContext server_context, model_context;
  inference::ServerMetadataResponse server;
  ASSERT_TRUE(stub_->ServerMetadata(&server_context, {}, &server).ok());
  EXPECT_EQ(server.name(), "culturetag");
  EXPECT_EQ(server.version(), "9.8.7");
  inference::ModelMetadataResponse model;
  ASSERT_TRUE(stub_->ModelMetadata(&model_context, {}, &model).ok());
  EXPECT_EQ(model.name(), "fake");
  EXPECT_EQ(model.outputs_size(), 3);
}

TEST_F(OipServiceTest, TagsEachFileOfABatchByItself) {
  gate_.Serve(*tagger_);
  inference::ModelInferRequest request = Request({Wav(1, 1 << 13), Wav(3, 1 << 14)});
  request.set_id("r-1");
  const grpc::Status status = Infer(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.id(), "r-1");
  EXPECT_EQ(response_.model_name(), "fake");
  EXPECT_EQ(response_.model_version(), "1.2.3");
  ASSERT_EQ(response_.outputs_size(), 3);
  EXPECT_THAT(response_.outputs(0).shape(), ElementsAre(2, 3));
  EXPECT_THAT(response_.outputs(0).contents().fp32_contents(),
              ElementsAre(0.25F, 0.25F / 2, 0.25F / 3, 0.5F, 0.5F / 2, 0.5F / 3));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_requests_total{code=\"OK\",method=\"ModelInfer\"} 1"));
}

TEST_F(OipServiceTest, BlamesTheFileThatCantBeDecoded) {
  gate_.Serve(*tagger_);
  const grpc::Status status = Infer(Request({Wav(1, 1), "no audio at all", Wav(1, 1)}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("AUDIO[1]: "));
  EXPECT_THAT(status.error_details(), HasSubstr("google.rpc.BadRequest"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_rejected_total{reason=\"bad_audio\"} 1"));
  const grpc::Status empty = Infer(Request({""}));
  EXPECT_EQ(empty.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_rejected_total{reason=\"bad_audio\"} 2"));
}

TEST_F(OipServiceTest, CountsTheBytesOfAllFilesAsInFlight) {
  gate_.Serve(*tagger_);
  const std::string file = Wav(3, 1);  // 2444 bytes of the 5000
  EXPECT_EQ(Infer(Request({file, file, file})).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (int i = 0; i < 5; ++i) {
    grpc::Status status;
    do {
      status = Infer(Request({file, file}));
    } while (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);  // until the one before is put away
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

TEST_F(OipServiceTest, TakesEveryFileOutOfTheQueueWhenTheClientGivesUp) {
  gate_.Serve(*tagger_);
  model_.Hold();
  grpc::ClientContext context;
  const inference::ModelInferRequest request = Request({Wav(1, 1), Wav(1, 2), Wav(1, 3)});
  absl::Notification done;
  grpc::Status status;
  stub_->async()->ModelInfer(&context, &request, &response_, [&](grpc::Status ended) {
    status = ended;
    done.Notify();
  });
  model_.WaitForPasses(1);
  while (batcher_->Snapshot().pending_windows < 3) std::this_thread::yield();
  context.TryCancel();
  done.WaitForNotification();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  while (batcher_->Snapshot().pending_windows > 1) std::this_thread::yield();  // hangs if one stayed
  model_.Release();
  tagger_->Drain(absl::InfiniteFuture());
  EXPECT_EQ(model_.passes().size(), 1U);
}

TEST_F(OipServiceTest, RefusesWhileDraining) {
  gate_.Serve(*tagger_);
  tagger_->Drain(absl::InfiniteFuture());
  EXPECT_EQ(Infer(Request({Wav(1, 1), Wav(1, 1)})).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace culturetag
