#include "service/tagging_service.h"

#include <thread>

#include "absl/synchronization/notification.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

// The service on a loopback port over a fake model, with a stock client.
class TaggingServiceTest : public testing::Test {
 protected:
  TaggingServiceTest() {
    WindowBatcher::Options options;
    options.max_batch_windows = 4;
    options.max_queued_audio = absl::Milliseconds(200);
    batcher_ = std::make_unique<WindowBatcher>(options, std::vector<std::vector<TaggingModel*>>{{&model_}}, clock_, metrics_);
    EXPECT_TRUE(batcher_->WaitUntilWarm().ok());
    model_.ForgetPasses();
    tagger_ = std::make_unique<Tagger>(Tagger::Options{}, std::vector<const TaggingModel*>{&model_}, decoders_, *batcher_, clock_, metrics_);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::TaggingService::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  }
  ~TaggingServiceTest() override {
    model_.Release();
    tagger_->Drain(absl::InfiniteFuture());
    server_->Shutdown();
  }

  static v1::TagRequest Request(size_t windows = 1) {
    const std::vector<float> samples(windows * 400, 0.5F);
    v1::TagRequest request;
    v1::Pcm& pcm = *request.mutable_audio()->mutable_pcm();
    pcm.set_encoding(v1::ENCODING_F32LE);
    pcm.set_sample_rate_hz(4000);
    pcm.set_channel_count(1);
    pcm.mutable_samples()->assign(reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(float));
    return request;
  }

  // Starts a call of one window and waits until the device, which must be held, runs it.
  void KeepDeviceBusy() {
    model_.Hold();
    stub_->async()->Tag(&blocker_context_, &blocker_request_, &blocker_response_,
                        [this](grpc::Status) { blocker_done_.Notify(); });
    model_.WaitForPasses(1);
  }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel model_{FakeSpec(), &clock_};
  WorkerPool decoders_{1, 8};
  std::unique_ptr<WindowBatcher> batcher_;
  std::unique_ptr<Tagger> tagger_;
  CallGate gate_{5000, nullptr, /*log_requests=*/true, clock_, metrics_};  // bytes in flight: three windows of 1600
  TaggingService service_{gate_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::TaggingService::Stub> stub_;

  grpc::ClientContext blocker_context_;
  v1::TagRequest blocker_request_ = Request();
  v1::TagResponse blocker_response_;
  absl::Notification blocker_done_;
};

TEST_F(TaggingServiceTest, IsUnavailableUntilItServes) {
  grpc::ClientContext tag_context, list_context;
  v1::TagResponse tag;
  v1::ListModelsResponse list;
  EXPECT_EQ(stub_->Tag(&tag_context, Request(), &tag).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(stub_->ListModels(&list_context, {}, &list).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TaggingServiceTest, TagsAndCountsTheCall) {
  gate_.Serve(*tagger_);
  grpc::ClientContext context;
  v1::TagResponse response;
  const grpc::Status status = stub_->Tag(&context, Request(), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model(), "fake");
  ASSERT_EQ(response.heads_size(), 2);
  EXPECT_EQ(response.heads(0).tags(0).label(), "Rast");
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_requests_total{code=\"OK\",method=\"Tag\"} 1"));
}

TEST_F(TaggingServiceTest, ListsTheModels) {
  gate_.Serve(*tagger_);
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  ASSERT_TRUE(stub_->ListModels(&context, {}, &response).ok());
  ASSERT_EQ(response.models_size(), 1);
  EXPECT_EQ(response.models(0).name(), "fake");
}

TEST_F(TaggingServiceTest, EmbedsAClip) {
  gate_.Serve(*tagger_);
  v1::EmbedRequest request;
  *request.mutable_audio() = Request(2).audio();
  request.set_include_windows(true);
  grpc::ClientContext context;
  v1::EmbedResponse response;
  const grpc::Status status = stub_->Embed(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model(), "fake");
  EXPECT_EQ(response.layer_count(), 1);
  EXPECT_EQ(response.hidden_size(), 1);
  ASSERT_EQ(response.values_size(), 1);
  ASSERT_EQ(response.windows_size(), 2);
  EXPECT_EQ(response.windows(1).start_offset().nanos(), 100'000'000);
  EXPECT_FLOAT_EQ(response.values(0), (response.windows(0).values(0) + response.windows(1).values(0)) / 2);
}

TEST_F(TaggingServiceTest, SendsDetailsWithAnInvalidArgument) {
  gate_.Serve(*tagger_);
  grpc::ClientContext context;
  v1::TagResponse response;
  const grpc::Status status = stub_->Tag(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_details(), HasSubstr("google.rpc.BadRequest"));
}

TEST_F(TaggingServiceTest, SendsPushbackWithARefusal) {
  gate_.Serve(*tagger_);
  KeepDeviceBusy();
  grpc::ClientContext context;
  v1::TagResponse response;
  const grpc::Status status = stub_->Tag(&context, Request(2), &response);  // 0.3 s of audio would wait, 0.2 may
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_details(), HasSubstr("google.rpc.RetryInfo"));
  const auto trailers = context.GetServerTrailingMetadata();
  ASSERT_EQ(trailers.count("grpc-retry-pushback-ms"), 1U);
  EXPECT_EQ(trailers.find("grpc-retry-pushback-ms")->second, "100");
  model_.Release();
  blocker_done_.WaitForNotification();
}

TEST_F(TaggingServiceTest, RefusesMoreBytesThanMayBeInFlightAndGivesThemBack) {
  gate_.Serve(*tagger_);
  KeepDeviceBusy();
  grpc::ClientContext context;
  v1::TagResponse response;
  const grpc::Status status = stub_->Tag(&context, Request(3), &response);  // 1600 + 4800 bytes
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("in flight"));
  model_.Release();
  blocker_done_.WaitForNotification();
  for (int i = 0; i < 10; ++i) {  // each takes nearly the whole budget
    grpc::Status ended;
    do {
      grpc::ClientContext attempt;
      ended = stub_->Tag(&attempt, Request(3), &response);
    } while (ended.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);  // until the one before is put away
    EXPECT_TRUE(ended.ok()) << ended.error_message();
  }
}

TEST_F(TaggingServiceTest, TakesACallThatTheClientCancelsOutOfTheQueue) {
  gate_.Serve(*tagger_);
  KeepDeviceBusy();
  grpc::ClientContext context;
  const v1::TagRequest request = Request();
  v1::TagResponse response;
  absl::Notification done;
  grpc::Status status;
  stub_->async()->Tag(&context, &request, &response, [&](grpc::Status ended) {
    status = ended;
    done.Notify();
  });
  while (batcher_->Snapshot().pending_windows < 2) std::this_thread::yield();
  context.TryCancel();
  done.WaitForNotification();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  while (batcher_->Snapshot().pending_windows > 1) std::this_thread::yield();  // hangs if the window stayed
  model_.Release();
  blocker_done_.WaitForNotification();
  EXPECT_EQ(model_.passes().size(), 1U);
}

TEST_F(TaggingServiceTest, TakesACallWhoseDeadlinePassesOutOfTheQueue) {
  gate_.Serve(*tagger_);
  KeepDeviceBusy();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  v1::TagResponse response;
  EXPECT_EQ(stub_->Tag(&context, Request(), &response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  while (batcher_->Snapshot().pending_windows > 1) std::this_thread::yield();  // hangs if the window stayed
  model_.Release();
  blocker_done_.WaitForNotification();
  EXPECT_EQ(model_.passes().size(), 1U);
}

}  // namespace
}  // namespace culturetag
