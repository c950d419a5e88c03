// The server as main.cc runs it, on the demo bundle and free loopback ports, called by a stock client.
#include "server.h"

#include <cmath>
#include <fstream>
#include <future>
#include <thread>

#include "culturetag/v1/tagging.grpc.pb.h"
#include "fakes/temporary_folder.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

Config DemoConfig() {
  Config config;
  config.bundles = {CULTURETAG_DEMO_BUNDLE};
  config.listen = "127.0.0.1:0";
  config.metrics_listen = "127.0.0.1:0";
  config.device = "cpu";
  config.max_batch_windows = 2;
  config.max_queued_audio = absl::Minutes(60);
  config.bulk_share = 0.125;
  config.max_audio_duration = absl::Minutes(15);
  config.max_request_bytes = 64 << 20;
  config.max_bytes_in_flight = 256 << 20;
  config.max_stream_duration = absl::Hours(1);
  config.stream_idle_timeout = absl::Seconds(60);
  config.max_streams = 16;
  config.spool_folder = testing::TempDir();
  config.max_spool_bytes = 64 << 20;
  config.executors = 1;
  config.decode_threads = 2;
  config.compute_threads = 2;
  config.drain_timeout = absl::Seconds(60);
  return config;
}

std::unique_ptr<v1::TaggingService::Stub> StubOf(const Server& server) {
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  return v1::TaggingService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

// `seconds` of a sine of 440 Hz as PCM.
v1::TagRequest SineRequest(double seconds) {
  constexpr int kRate = 16000;
  std::vector<float> samples(static_cast<size_t>(seconds * kRate));
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = 0.3F * std::sin(2 * M_PI * 440 * static_cast<double>(i) / kRate);
  v1::TagRequest request;
  v1::Pcm& pcm = *request.mutable_audio()->mutable_pcm();
  pcm.set_encoding(v1::ENCODING_F32LE);
  pcm.set_sample_rate_hz(kRate);
  pcm.set_channel_count(1);
  pcm.mutable_samples()->assign(reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(float));
  return request;
}

TEST(ServerTest, LoadsServesAndDrains) {
  auto server = Server::Create(DemoConfig());
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_GT((*server)->port(), 0);
  ASSERT_GT((*server)->metrics_port(), 0);
  const auto stub = StubOf(**server);
  {
    grpc::ClientContext context;
    v1::TagResponse response;
    EXPECT_EQ(stub->Tag(&context, SineRequest(1), &response).error_code(), grpc::StatusCode::UNAVAILABLE) << "still loading";
  }
  ASSERT_TRUE((*server)->Load().ok());
  {
    grpc::ClientContext context;
    v1::TagResponse response;
    const grpc::Status status = stub->Tag(&context, SineRequest(12), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.model(), "demo");
    EXPECT_EQ(response.audio().window_count(), 3);
    EXPECT_EQ(response.heads_size(), 6);
    for (const v1::HeadResult& head : response.heads()) {
      for (const v1::Tag& tag : head.tags()) {
        EXPECT_GE(tag.score(), 0);
        EXPECT_LE(tag.score(), 1);
      }
    }
  }
  EXPECT_TRUE((*server)->Drain());
  grpc::ClientContext context;
  v1::TagResponse response;
  EXPECT_EQ(stub->Tag(&context, SineRequest(1), &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(ServerTest, AnswersWhatItAcceptedBeforeADrain) {
  auto server = Server::Create(DemoConfig());
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE((*server)->Load().ok());
  const auto stub = StubOf(**server);
  std::vector<std::future<grpc::Status>> calls;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  for (int i = 0; i < 8; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    calls.push_back(std::async(std::launch::async, [&stub, context = contexts.back().get()] {
      v1::TagResponse response;
      return stub->Tag(context, SineRequest(30), &response);
    }));
  }
  EXPECT_TRUE(calls[0].get().ok());  // so that the others have arrived, or get a clean refusal
  EXPECT_TRUE((*server)->Drain());
  for (size_t i = 1; i < calls.size(); ++i) {
    const grpc::Status status = calls[i].get();
    EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE) << status.error_message();
  }
}

TEST(ServerTest, WritesItsPortToAFile) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/port";
  Config config = DemoConfig();
  config.port_file = file;
  const auto server = Server::Create(config);
  ASSERT_TRUE(server.ok()) << server.status();
  int port = 0;
  std::ifstream(file) >> port;
  EXPECT_EQ(port, (*server)->port());
}

TEST(ServerTest, StopsWhileItLoads) {
  auto server = Server::Create(DemoConfig());
  ASSERT_TRUE(server.ok()) << server.status();
  (*server)->RequestStop();
  (*server)->RequestStop();
  EXPECT_EQ((*server)->Load().code(), absl::StatusCode::kCancelled);
  (*server)->WaitForStop();
}

TEST(ServerTest, SaysThatAPortIsTaken) {
  const auto first = Server::Create(DemoConfig());
  ASSERT_TRUE(first.ok()) << first.status();
  Config config = DemoConfig();
  config.listen = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = Server::Create(config);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(config.listen));
}

}  // namespace
}  // namespace culturetag
