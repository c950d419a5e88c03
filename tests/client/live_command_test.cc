#include "client/live_command.h"

#include <unistd.h>

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "client/fake_tagging_service.h"
#include "client/parse_text.h"
#include "client/run_culturetag.h"

namespace culturetag::client {
namespace {

const char kWindow[] = R"pb(
  window { start_offset { seconds: 5 } duration { seconds: 5 }
           heads { head: "fma" tags { label: "Folk" category: "genre" score: 0.75 } } })pb";

TEST(LiveCommandTest, SendsTheSamplesWithTheirFormAndPrintsALineAWindowThenTheWhole) {
  v1::TagStreamConfig config;
  std::string data;
  FakeTaggingService service({});
  service.on_stream = [&](auto&, auto& stream) {
    data = ReadStream(stream, config);
    stream.Write(ParseText<v1::TagStreamResponse>(kWindow));
    WriteSummary(stream, "PCM/F32LE");
    return grpc::Status::OK;
  };
  const Finished finished =
      RunCulturetag({"tag", "--live", "--rate", "8000", "--channels", "2", "--encoding", "f32le", "--heads", "fma",
                     "--server", service.address()},
                    "samples");
  EXPECT_EQ(config.ShortDebugString(),
            "heads: \"fma\" top_k: 5 priority: PRIORITY_INTERACTIVE "
            "pcm { encoding: ENCODING_F32LE sample_rate_hz: 8000 channel_count: 2 }");
  EXPECT_EQ(data, "samples");
  EXPECT_EQ(finished.out,
            "     5.0 s  fma: Folk 0.75\n\n(standard input)\n  0.0 s, PCM/F32LE, 0 Hz, 0 channels, 0 windows\n"
            "   , answered in 0.000 s\n\n");
  EXPECT_EQ(finished.exit_code, 0);
}

TEST(LiveCommandTest, PrintsAWindowWhileTheInputIsStillOpenAndTheWholeAfterCtrlC) {
  FakeTaggingService service({});
  service.on_stream = [&](auto&, auto& stream) {
    v1::TagStreamRequest request;
    while (stream.Read(&request)) {
      if (request.data() == "first") stream.Write(ParseText<v1::TagStreamResponse>(kWindow));
    }
    WriteSummary(stream, "after the half-close");
    return grpc::Status::OK;
  };
  int input[2];
  ASSERT_EQ(pipe(input), 0);
  ASSERT_EQ(write(input[1], "first", 5), 5);
  TaggingClient client({}, CreateChannels(service.address()));
  TagOptions options;
  options.format = OutputFormat::kJsonLines;

  // Ctrl-C comes as soon as the window's line has been printed; the input never ends.
  class RaisingBuffer : public std::stringbuf {
   public:
    absl::Notification line;
    int sync() override {
      if (!line.HasBeenNotified()) line.Notify();
      return 0;
    }
  } buffer;
  std::ostream out(&buffer);
  FakeTerminal terminal;
  std::thread user([&] {
    buffer.line.WaitForNotification();
    EXPECT_TRUE(terminal.interrupts.Raise());
  });
  const int exit_code = RunLive(options, client, {input[0], out, terminal.err, {}, terminal.interrupts});
  user.join();
  close(input[0]);
  close(input[1]);
  EXPECT_EQ(exit_code, 0);
  EXPECT_EQ(buffer.str(),
            R"({"start_seconds":5.0,"duration_seconds":5.0,"heads":[{"head":"fma","tags":)"
            R"([{"label":"Folk","category":"genre","score":0.75}]}]})"
            "\n"
            R"({"file":"-","model":"","model_version":"","audio":{"duration_seconds":0.0,"sample_rate_hz":0,)"
            R"("channel_count":0,"format":"after the half-close","window_count":0},"heads":[],"windows":[],)"
            R"("timing_seconds":{"decode":0.0,"queue":0.0,"inference":0.0,"total":0.0}})"
            "\n");
}

TEST(LiveCommandTest, EndsWithTheServersReasonThoughTheInputIsStillOpen) {
  FakeTaggingService service({});
  service.on_stream = [](auto&, auto&) { return grpc::Status(grpc::StatusCode::NOT_FOUND, "no head `x`"); };
  int input[2];
  ASSERT_EQ(pipe(input), 0);
  TaggingClient client({}, CreateChannels(service.address()));
  FakeTerminal terminal;
  EXPECT_EQ(RunLive({}, client, terminal.ConsoleReading(input[0])), 1);
  close(input[0]);
  close(input[1]);
  EXPECT_EQ(terminal.err.str(), "culturetag: (standard input): NOT_FOUND: no head `x`\n");
}

}  // namespace
}  // namespace culturetag::client
