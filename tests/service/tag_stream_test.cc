// TagStream over a loopback port, with a stock client.
#include <thread>

#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "service/tagging_service.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

constexpr int kRate = 4000;

// The model takes this rate, so that no resampler holds back what has been sent.
ModelSpec StreamSpec() {
  ModelSpec spec = FakeSpec();
  spec.sample_rate_hz = kRate;
  spec.window_samples = spec.hop_samples = 400;
  return spec;
}

class TagStreamTest : public testing::Test {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::TagStreamRequest, v1::TagStreamResponse>;

  TagStreamTest() { options_.max_batch_windows = 4; }

  void Start() {
    batcher_ = std::make_unique<WindowBatcher>(options_, std::vector<std::vector<TaggingModel*>>{{&model_}}, Clock::Real(), metrics_);
    ASSERT_TRUE(batcher_->WaitUntilWarm().ok());
    model_.ForgetPasses();
    tagger_ = std::make_unique<Tagger>(tagger_options_, std::vector<const TaggingModel*>{&model_}, decoders_, *batcher_,
                                       Clock::Real(), metrics_);
    gate_.Serve(*tagger_);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::TaggingService::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
    stream_ = stub_->TagStream(&context_);
  }
  ~TagStreamTest() override {
    stream_.reset();
    model_.Release();
    tagger_->Drain(absl::InfiniteFuture());
    server_->Shutdown();
    EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
  }

  static v1::TagStreamRequest PcmConfig() {
    v1::TagStreamRequest request;
    v1::PcmFormat& pcm = *request.mutable_config()->mutable_pcm();
    pcm.set_encoding(v1::ENCODING_F32LE);
    pcm.set_sample_rate_hz(kRate);
    pcm.set_channel_count(1);
    return request;
  }
  static v1::TagStreamRequest Data(std::string bytes) {
    v1::TagStreamRequest request;
    request.set_data(std::move(bytes));
    return request;
  }
  static std::string Samples(size_t windows, float value) {
    const std::vector<float> samples(windows * 400, value);
    return std::string(reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(float));
  }

  // Reads to the end of the stream; the status.
  grpc::Status Finish(std::vector<v1::TagStreamResponse>* responses = nullptr) {
    v1::TagStreamResponse response;
    while (stream_->Read(&response)) {
      if (responses != nullptr) responses->push_back(response);
    }
    return stream_->Finish();
  }

  Metrics metrics_{"test"};
  FakeModel model_{StreamSpec()};
  WorkerPool decoders_{1, 8};
  WindowBatcher::Options options_;
  Tagger::Options tagger_options_;
  std::unique_ptr<WindowBatcher> batcher_;
  std::unique_ptr<Tagger> tagger_;
  CallGate gate_{int64_t{1} << 20, nullptr, /*log_requests=*/true, Clock::Real(), metrics_};
  TaggingService service_{gate_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::TaggingService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
};

TEST_F(TagStreamTest, SendsAResultForEachWindowAndThenTheSummary) {
  Start();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  const std::string audio = Samples(3, 0.5F);
  for (size_t i = 0; i < audio.size(); i += 1000) ASSERT_TRUE(stream_->Write(Data(audio.substr(i, 1000))));
  ASSERT_TRUE(stream_->WritesDone());
  std::vector<v1::TagStreamResponse> responses;
  const grpc::Status status = Finish(&responses);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(responses.size(), 4U);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(responses[static_cast<size_t>(i)].has_window());
    EXPECT_EQ(responses[static_cast<size_t>(i)].window().start_offset().nanos(), i * 100'000'000);
  }
  ASSERT_TRUE(responses[3].has_summary());
  EXPECT_EQ(responses[3].summary().audio().window_count(), 3);
  EXPECT_EQ(responses[3].summary().windows_size(), 0);
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_requests_total{code=\"OK\",method=\"TagStream\"} 1"));
}

TEST_F(TagStreamTest, ScoresWindowsWhileTheUploadGoesOn) {
  Start();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  v1::TagStreamResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream_->Write(Data(Samples(1, 0.5F))));
    ASSERT_TRUE(stream_->Read(&response));
    EXPECT_TRUE(response.has_window());
  }
  ASSERT_TRUE(stream_->WritesDone());
  EXPECT_TRUE(Finish().ok());
}

TEST_F(TagStreamTest, RepeatsTheWindowsInTheSummaryIfAsked) {
  Start();
  v1::TagStreamRequest config = PcmConfig();
  config.mutable_config()->set_include_windows(true);
  ASSERT_TRUE(stream_->Write(config));
  ASSERT_TRUE(stream_->Write(Data(Samples(2, 0.5F))));
  ASSERT_TRUE(stream_->WritesDone());
  std::vector<v1::TagStreamResponse> responses;
  ASSERT_TRUE(Finish(&responses).ok());
  EXPECT_EQ(responses.back().summary().windows_size(), 2);
}

TEST_F(TagStreamTest, WantsTheConfigFirst) {
  Start();
  ASSERT_TRUE(stream_->Write(Data("abc")));
  const grpc::Status status = Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("the first message must be a config"));
  EXPECT_THAT(status.error_details(), HasSubstr("config"));
}

TEST_F(TagStreamTest, WantsAConfigAtAll) {
  Start();
  ASSERT_TRUE(stream_->WritesDone());
  EXPECT_EQ(Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TagStreamTest, RefusesASecondConfig) {
  Start();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  const grpc::Status status = Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("twice"));
}

TEST_F(TagStreamTest, RefusesAnEmptyMessage) {
  Start();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  ASSERT_TRUE(stream_->Write({}));
  EXPECT_EQ(Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TagStreamTest, NamesTheFieldOfAWrongConfig) {
  Start();
  v1::TagStreamRequest config = PcmConfig();
  config.mutable_config()->mutable_pcm()->set_sample_rate_hz(7);
  ASSERT_TRUE(stream_->Write(config));
  const grpc::Status status = Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_details(), HasSubstr("config.pcm.sample_rate_hz"));
}

TEST_F(TagStreamTest, BlamesTheDataOfAStreamThatIsNoAudio) {
  Start();
  v1::TagStreamRequest config;
  config.mutable_config();
  ASSERT_TRUE(stream_->Write(config));
  ASSERT_TRUE(stream_->Write(Data("no audio file")));
  ASSERT_TRUE(stream_->WritesDone());
  const grpc::Status status = Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_details(), HasSubstr("data"));
}

TEST_F(TagStreamTest, EndsAStreamWhoseConfigDoesntCome) {
  tagger_options_.stream_idle_timeout = absl::Milliseconds(50);
  Start();
  const grpc::Status status = Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(status.error_message(), HasSubstr("no config came for 50ms"));
}

TEST_F(TagStreamTest, EndsAStreamWhoseSenderFallsSilent) {
  tagger_options_.stream_idle_timeout = absl::Milliseconds(50);
  Start();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  ASSERT_TRUE(stream_->Write(Data(Samples(1, 0.5F))));
  const grpc::Status status = Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(status.error_message(), HasSubstr("no data came for 50ms"));
}

TEST_F(TagStreamTest, StopsReadingWhileTheDeviceIsBusy) {
  Start();
  model_.Hold();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  std::thread sender([this] {
    for (int i = 0; i < 2000; ++i) stream_->Write(Data(Samples(1, 0.5F)));  // 200 s
    stream_->WritesDone();
  });
  model_.WaitForPasses(1);
  // All that may be under way: four batches in the queue and on the device, whatever the sender would like.
  EXPECT_LE(batcher_->Snapshot().pending_windows, 17);
  model_.Release();
  std::vector<v1::TagStreamResponse> responses;
  const grpc::Status status = Finish(&responses);
  sender.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(responses.size(), 2001U);
}

TEST_F(TagStreamTest, LetsGoOfAStreamWhoseClientGivesUp) {
  Start();
  model_.Hold();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  ASSERT_TRUE(stream_->Write(Data(Samples(3, 0.5F))));
  model_.WaitForPasses(1);
  context_.TryCancel();
  EXPECT_EQ(Finish().error_code(), grpc::StatusCode::CANCELLED);
  while (batcher_->Snapshot().pending_windows > 0) std::this_thread::yield();  // though the device is held
}

TEST_F(TagStreamTest, RefusesMoreStreamsThanThereMayBe) {
  tagger_options_.max_streams = 1;
  Start();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  ASSERT_TRUE(stream_->Write(Data(Samples(2, 0.5F))));
  v1::TagStreamResponse response;
  ASSERT_TRUE(stream_->Read(&response));
  grpc::ClientContext second_context;
  const auto second = stub_->TagStream(&second_context);
  second->Write(PcmConfig());
  const grpc::Status status = second->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_details(), HasSubstr("google.rpc.RetryInfo"));
  ASSERT_TRUE(stream_->WritesDone());
  EXPECT_TRUE(Finish().ok());
}

TEST_F(TagStreamTest, CutsAStreamOffWhenTheDrainTimesOut) {
  Start();
  ASSERT_TRUE(stream_->Write(PcmConfig()));
  ASSERT_TRUE(stream_->Write(Data(Samples(2, 0.5F))));
  v1::TagStreamResponse response;
  ASSERT_TRUE(stream_->Read(&response));
  EXPECT_FALSE(tagger_->Drain(Clock::Real().Now()));
  EXPECT_EQ(Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace culturetag
