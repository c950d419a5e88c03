// Files that go by TagStream: TaggingClient::TagStream, and `culturetag tag` on what is larger than a message should
// be.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "client/deaf_port.h"
#include "client/fake_tagging_service.h"
#include "client/run_culturetag.h"
#include "client/tag_command.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class StreamTest : public testing::Test {
 protected:
  StreamTest()
      : service_([](auto&, const auto&, auto&) { return grpc::Status(grpc::StatusCode::INTERNAL, "not a stream"); }) {}

  // Runs `culturetag tag` in this process with a limit at which "0123456789" is too large for a message.
  int Tag(const std::string& file, const std::string& standard_input = "", absl::Duration timeout = absl::Minutes(1)) {
    TaggingClient::Options client_options;
    client_options.timeout = timeout;
    TaggingClient client(client_options, CreateChannels(service_.address()));
    TagOptions options;
    options.files.names = {file};
    options.stream_above_bytes = 9;
    options.top_k = 3;
    options.format = OutputFormat::kCsv;
    return RunTag(options, client, terminal_.ConsoleReading(InputFile(standard_input).fd()));
  }

  TemporaryFolder folder_;
  FakeTerminal terminal_;
  FakeTaggingService service_;
};

TEST_F(StreamTest, SendsALargeFileInChunksWithTheOptionsOfTheCommand) {
  v1::TagStreamConfig config;
  std::string data;
  service_.on_stream = [&](auto&, auto& stream) {
    data = ReadStream(stream, config);
    WriteSummary(stream, "WAV");
    return grpc::Status::OK;
  };
  const std::string bytes(std::size_t{5} << 19, 'm');  // two chunks and a half
  EXPECT_EQ(Tag(folder_.Write("a.wav", bytes)), 0);
  EXPECT_TRUE(data == bytes);
  EXPECT_EQ(config.ShortDebugString(), "top_k: 3 priority: PRIORITY_INTERACTIVE");
}

TEST_F(StreamTest, NeverHoldsMoreThanAChunkOfAFile) {
  std::size_t largest = 0;
  service_.on_stream = [&](auto&, auto& stream) {
    v1::TagStreamRequest request;
    while (stream.Read(&request)) largest = std::max(largest, request.data().size());
    WriteSummary(stream, "");
    return grpc::Status::OK;
  };
  const std::string file = folder_.Write("huge.wav", "");
  std::filesystem::resize_file(file, std::size_t{40} << 20);
  EXPECT_EQ(Tag(file), 0);
  EXPECT_EQ(largest, std::size_t{1} << 20);
}

TEST_F(StreamTest, SendsStandardInputWhoseSizeNobodyKnowsFromItsFirstByte) {
  v1::TagStreamConfig config;
  std::string data;
  service_.on_stream = [&](auto&, auto& stream) {
    data = ReadStream(stream, config);
    WriteSummary(stream, "");
    return grpc::Status::OK;
  };
  EXPECT_EQ(Tag("-", std::string(200000, 'p')), 0);
  EXPECT_TRUE(data == std::string(200000, 'p'));
}

TEST_F(StreamTest, BeginsARefusedFileAgainAfterTheWaitThatTheServerAsksFor) {
  std::atomic<int> attempts = 0;
  std::string data;
  service_.on_stream = [&](auto& context, auto& stream) {
    v1::TagStreamConfig config;
    if (++attempts == 1) {
      context.AddTrailingMetadata("grpc-retry-pushback-ms", "0");
      return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many streams");
    }
    data = ReadStream(stream, config);
    WriteSummary(stream, "");
    return grpc::Status::OK;
  };
  EXPECT_EQ(Tag(folder_.Write("a.wav", "0123456789")), 0);
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(data, "0123456789");
}

TEST_F(StreamTest, GivesUpAfterFourAttempts) {
  std::atomic<int> attempts = 0;
  service_.on_stream = [&](auto& context, auto&) {
    ++attempts;
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "0");
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining");
  };
  const std::string file = folder_.Write("a.wav", "0123456789");
  EXPECT_EQ(Tag(file), 1);
  EXPECT_EQ(attempts, 4);
  EXPECT_EQ(terminal_.err.str(), absl::StrCat("culturetag: ", file, ": UNAVAILABLE: draining\n"));
}

TEST_F(StreamTest, DoesNotComeBackWhereTheServerForbidsIt) {
  std::atomic<int> attempts = 0;
  service_.on_stream = [&](auto& context, auto&) {
    ++attempts;
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "-1");
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining");
  };
  EXPECT_EQ(Tag(folder_.Write("a.wav", "0123456789")), 1);
  EXPECT_EQ(attempts, 1);
}

TEST_F(StreamTest, DoesNotBeginAgainOnceThereWasAnAnswer) {
  std::atomic<int> attempts = 0;
  service_.on_stream = [&](auto& context, auto& stream) {
    ++attempts;
    v1::TagStreamResponse response;
    response.mutable_window();
    stream.Write(response);
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "0");
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining");
  };
  EXPECT_EQ(Tag(folder_.Write("a.wav", "0123456789")), 1);
  EXPECT_EQ(attempts, 1);
}

TEST_F(StreamTest, EndsAStreamInWhichNothingMoves) {
  absl::Notification given_up;
  service_.on_stream = [&](auto&, auto&) {
    given_up.WaitForNotification();
    return grpc::Status::OK;
  };
  EXPECT_EQ(Tag(folder_.Write("a.wav", "0123456789"), "", absl::Milliseconds(50)), 1);
  given_up.Notify();
  EXPECT_THAT(terminal_.err.str(),
              HasSubstr("DEADLINE_EXCEEDED: no answer within --timeout=50ms (the stream stood still)"));
}

TEST_F(StreamTest, SaysThatTheServerLeftTheSummaryOut) {
  service_.on_stream = [](auto&, auto&) { return grpc::Status::OK; };
  EXPECT_EQ(Tag(folder_.Write("a.wav", "0123456789")), 1);
  EXPECT_THAT(terminal_.err.str(), HasSubstr("INTERNAL: the server ended the stream without a summary"));
}

TEST(StreamWithoutServerTest, SaysThatNoServerAnswers) {
  const DeafPort port;
  TemporaryFolder folder;
  const std::string file = folder.Write("a.wav", "");
  std::filesystem::resize_file(file, std::size_t{9} << 20);
  EXPECT_THAT(RunCulturetag({"tag", "--server", port.address(), file}).err,
              StartsWith(absl::StrCat("culturetag: ", file, ": UNAVAILABLE: no server answers at ", port.address())));
}

}  // namespace
}  // namespace culturetag::client
