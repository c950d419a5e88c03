#include "client/tag_command.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "client/deaf_port.h"
#include "client/fake_tagging_service.h"
#include "client/parse_text.h"
#include "client/run_culturetag.h"
#include "fakes/temporary_folder.h"
#include "google/rpc/error_details.pb.h"

namespace culturetag::client {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

// The formats in a JSON answer, in order: with Echo, what the files held.
std::vector<std::string> FormatsIn(const std::string& json) {
  std::vector<std::string> formats;
  for (const nlohmann::json& file : nlohmann::json::parse(json)) formats.push_back(file["audio"]["format"]);
  return formats;
}

class TagCommandTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(TagCommandTest, SendsTheBytesOfAFileWithEveryOption) {
  v1::TagRequest received;
  FakeTaggingService service([&](auto&, const auto& request, auto&) {
    received = request;
    return grpc::Status::OK;
  });
  const std::string file = folder_.Write("a.wav", "bytes");
  EXPECT_EQ(RunCulturetag({"tag", "--server", service.address(), "--model", "m", "--heads", "fma,makam", file,
                           "--top-k", "3", "--min-score", "0.25", "--windows", "--priority", "bulk"})
                .exit_code,
            0);
  EXPECT_EQ(received.ShortDebugString(),
            "audio { encoded: \"bytes\" } model: \"m\" heads: \"fma\" heads: \"makam\" top_k: 3 min_score: 0.25 "
            "include_windows: true priority: PRIORITY_BULK");
}

TEST_F(TagCommandTest, AsksForFiveTagsAndAnInteractivePlaceUnlessToldOtherwise) {
  v1::TagRequest received;
  FakeTaggingService service([&](auto&, const auto& request, auto&) {
    received = request;
    return grpc::Status::OK;
  });
  EXPECT_EQ(RunCulturetag({"tag", "-", "--server", service.address()}, "piped").exit_code, 0);
  EXPECT_EQ(received.ShortDebugString(), "audio { encoded: \"piped\" } top_k: 5 priority: PRIORITY_INTERACTIVE");
}

TEST_F(TagCommandTest, PrintsAHeadingForEachFileWithAnEmptyLineBetween) {
  FakeTaggingService service([](auto&, const auto& request, auto& response) {
    response = ParseText<v1::TagResponse>(R"pb(
      model: "demo" model_version: "1" heads { head: "fma" tags { label: "Folk" category: "genre" score: 0.75 } })pb");
    return Echo(request, response);
  });
  const std::string one = folder_.Write("one", "A");
  const Finished finished = RunCulturetag({"tag", "--server", service.address(), one, "-"}, "B");
  const std::string rest = " 0 Hz, 0 channels, 0 windows\n  demo 1, answered in 0.000 s\n\n  fma\n    Folk  genre  0.75\n";
  EXPECT_EQ(finished.out, absl::StrCat(one, "\n  0.0 s, A,", rest, "\n(standard input)\n  0.0 s, B,", rest));
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(finished.exit_code, 0);
}

TEST_F(TagCommandTest, PrintsInTheOrderGivenWhateverTheOrderOfTheAnswers) {
  absl::Notification third_arrived;
  FakeTaggingService service([&](auto&, const auto& request, auto& response) {
    // With two in flight, the third is sent once the second was answered: the first is answered last.
    if (request.audio().encoded() == "first") third_arrived.WaitForNotification();
    if (request.audio().encoded() == "third") third_arrived.Notify();
    return Echo(request, response);
  });
  const Finished finished =
      RunCulturetag({"tag", "--json", "--concurrency", "2", "--server", service.address(), folder_.Write("1", "first"),
                     folder_.Write("2", "second"), folder_.Write("3", "third")});
  EXPECT_THAT(FormatsIn(finished.out), ElementsAre("first", "second", "third"));
  EXPECT_EQ(finished.exit_code, 0);
}

TEST_F(TagCommandTest, KeepsAsManyFilesInFlightAsAllowedAndNoMore) {
  struct Load {
    absl::Mutex mutex;
    int arrived ABSL_GUARDED_BY(mutex) = 0;
    int running ABSL_GUARDED_BY(mutex) = 0;
    int most_running ABSL_GUARDED_BY(mutex) = 0;
  } load;
  FakeTaggingService service([&](auto&, const auto& request, auto& response) {
    absl::MutexLock lock(&load.mutex);
    load.most_running = std::max(load.most_running, ++load.running);
    // Each call waits for the other one of its pair, so that a client which sends one at a time never ends.
    const int pair_end = (load.arrived++ / 2 + 1) * 2;
    const auto pair_is_here = [&] {
      load.mutex.AssertHeld();
      return load.arrived >= pair_end;
    };
    load.mutex.Await(absl::Condition(&pair_is_here));
    --load.running;
    return Echo(request, response);
  });
  std::vector<std::string> arguments = {"tag", "--json", "--concurrency", "2", "--server", service.address()};
  std::vector<std::string> names;
  for (char name = 'a'; name < 'a' + 8; ++name) {
    names.emplace_back(1, name);
    arguments.push_back(folder_.Write(names.back(), names.back()));
  }
  EXPECT_EQ(FormatsIn(RunCulturetag(arguments).out), names);
  absl::MutexLock lock(&load.mutex);
  EXPECT_EQ(load.most_running, 2);
}

TEST_F(TagCommandTest, HoldsAFileBackThatIsTooMuchBesideThoseInFlight) {
  absl::Notification second_arrived;
  bool overlapped = true;
  FakeTaggingService service([&](auto&, const auto& request, auto& response) {
    if (request.audio().encoded() == "second") second_arrived.Notify();
    if (request.audio().encoded() == "first") {
      for (int i = 0; i < 100; ++i) std::this_thread::yield();  // every chance to come too early
      overlapped = second_arrived.HasBeenNotified();
    }
    return Echo(request, response);
  });
  TaggingClient client({}, CreateChannels(service.address()));
  TagOptions options;
  options.files.names = {folder_.Write("1", "first"), folder_.Write("2", "second")};
  options.max_bytes_in_flight = 10;
  options.format = OutputFormat::kJson;
  FakeTerminal terminal;
  EXPECT_EQ(RunTag(options, client, terminal.ConsoleReading(-1)), 0);
  EXPECT_THAT(FormatsIn(terminal.out.str()), ElementsAre("first", "second"));
  EXPECT_FALSE(overlapped);
}

TEST_F(TagCommandTest, GoesOnAfterAFileThatFailsAndExitsWithOne) {
  const auto bad_request =
      ParseText<google::rpc::BadRequest>(R"pb(field_violations { field: "audio.encoded" description: "?" })pb");
  FakeTaggingService service([&](auto&, const auto& request, auto& response) {
    if (request.audio().encoded() != "noise") return Echo(request, response);
    return StatusWithDetails(grpc::StatusCode::INVALID_ARGUMENT, "no format is recognised", {&bad_request});
  });
  const std::string bad = folder_.Write("bad", "noise");
  const std::string missing = folder_.path() + "/missing";
  const std::string good = folder_.Write("good", "music");
  const Finished finished = RunCulturetag({"tag", "--server", service.address(), bad, missing, good});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(finished.err,
            absl::StrCat("culturetag: ", bad, ": INVALID_ARGUMENT: no format is recognised [field audio.encoded]\n",
                         "culturetag: ", missing, ": NOT_FOUND: no such file\n"));
  EXPECT_THAT(finished.out, StartsWith(absl::StrCat(good, "\n  0.0 s, music,")));
}

TEST_F(TagCommandTest, GivesFailuresTheirPlaceInTheJsonArray) {
  FakeTaggingService service([](auto&, const auto& request, auto& response) {
    if (request.audio().encoded() == "noise") return grpc::Status(grpc::StatusCode::NOT_FOUND, "no model `m`");
    return Echo(request, response);
  });
  const std::string bad = folder_.Write("bad", "noise");
  const std::string good = folder_.Write("good", "music");
  const Finished finished = RunCulturetag({"tag", "--json", "--server", service.address(), bad, good, bad});
  const std::string failure = absl::StrCat(
      R"({"file":")", bad,
      R"(","error":{"code":"NOT_FOUND","message":"no model `m`","field":null,"retry_after_seconds":null}})");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(
      finished.out,
      absl::StrCat(
          "[\n", failure, ",\n", R"({"file":")", good,
          R"(","model":"","model_version":"","audio":{"duration_seconds":0.0,"sample_rate_hz":0,"channel_count":0,)",
          R"("format":"music","window_count":0},"heads":[],"windows":[],)",
          R"("timing_seconds":{"decode":0.0,"queue":0.0,"inference":0.0,"total":0.0}})", ",\n", failure, "\n]\n"));
}

TEST_F(TagCommandTest, PrintsALineAsSoonAsItsFileIsAnswered) {
  absl::Notification second_answered;
  FakeTaggingService service([&](auto&, const auto& request, auto& response) {
    if (request.audio().encoded() == "first") second_answered.WaitForNotification();
    // With two in flight, the third is sent once the second was answered.
    if (request.audio().encoded() == "third") second_answered.Notify();
    return Echo(request, response);
  });
  const std::string first = folder_.Write("1", "first");
  const std::string second = folder_.Write("2", "second");
  const Finished finished = RunCulturetag({"tag", "--csv", "--jobs", "2", "--server", service.address(), first, second,
                                           folder_.Write("3", "third")});
  EXPECT_THAT(finished.out,
              StartsWith(absl::StrCat("file,window_start_seconds,head,category,label,score\n", second, ",,,,,\n")));
  EXPECT_EQ(finished.exit_code, 0);
}

TEST_F(TagCommandTest, TagsOnTheSecondRunOnlyWhatTheFirstLeft) {
  std::atomic<bool> broken = true;
  absl::Mutex mutex;
  std::vector<std::string> received;
  FakeTaggingService service([&](auto&, const auto& request, auto& response) {
    absl::MutexLock lock(&mutex);
    received.push_back(request.audio().encoded());
    if (broken && request.audio().encoded() == "bad") return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "noise");
    return Echo(request, response);
  });
  const std::string bad = folder_.Write("bad.wav", "bad");
  folder_.Write("good.wav", "good");
  const std::string results = folder_.path() + "/tags.jsonl";
  const std::vector<std::string> command = {"tag", "--server", service.address(), "--out", results, folder_.path(),
                                            folder_.path() + "/good.wav"};
  const Finished first = RunCulturetag(command);
  EXPECT_EQ(first.exit_code, 1);
  EXPECT_EQ(first.out, "");
  EXPECT_EQ(first.err, absl::StrCat("culturetag: ", bad, ": INVALID_ARGUMENT: noise\n"));
  broken = false;
  EXPECT_EQ(RunCulturetag(command).exit_code, 0);
  EXPECT_THAT(received, testing::UnorderedElementsAre("bad", "good", "bad"));
  std::ifstream lines(results);
  std::vector<std::string> formats;
  for (std::string line; std::getline(lines, line);) formats.push_back(nlohmann::json::parse(line)["audio"]["format"]);
  EXPECT_THAT(formats, ElementsAre("good", "bad"));
}

TEST_F(TagCommandTest, KeepsWhatIsInFlightAfterCtrlCAndSendsNoMore) {
  absl::Notification arrived;
  absl::Notification interrupted;
  FakeTaggingService service([&](auto&, const auto& request, auto& response) {
    arrived.Notify();
    interrupted.WaitForNotification();
    return Echo(request, response);
  });
  TaggingClient client({}, CreateChannels(service.address()));
  TagOptions options;
  options.files.names = {folder_.Write("1", "first"), folder_.Write("2", "second")};
  options.concurrency = 1;
  options.format = OutputFormat::kJson;
  FakeTerminal terminal;
  std::thread user([&] {
    arrived.WaitForNotification();
    EXPECT_TRUE(terminal.interrupts.Raise());
    EXPECT_FALSE(terminal.interrupts.Raise());
    interrupted.Notify();
  });
  EXPECT_EQ(RunTag(options, client, terminal.ConsoleReading(-1)), 130);
  user.join();
  EXPECT_THAT(FormatsIn(terminal.out.str()), ElementsAre("first"));
  EXPECT_EQ(terminal.err.str(), "");
}

TEST_F(TagCommandTest, TriesAgainAfterTheWaitThatTheServerAsksForWhateverTheSizeOfTheFile) {
  std::atomic<int> attempts = 0;
  FakeTaggingService service([&](auto& context, const auto& request, auto&) {
    EXPECT_EQ(request.audio().encoded().size(), 5u << 20);
    if (++attempts > 1) return grpc::Status::OK;
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "0");
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full");
  });
  const std::string song = folder_.Write("song", std::string(5 << 20, 's'));
  const Finished finished = RunCulturetag({"tag", "--server", service.address(), song});
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(attempts, 2);
}

TEST_F(TagCommandTest, GivesUpAfterFourAttemptsAndSaysWhenToComeBack) {
  const auto retry_info = ParseText<google::rpc::RetryInfo>("retry_delay { seconds: 2 nanos: 500000000 }");
  std::atomic<int> attempts = 0;
  FakeTaggingService service([&](auto& context, const auto&, auto&) {
    ++attempts;
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "0");
    return StatusWithDetails(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full", {&retry_info});
  });
  const Finished finished = RunCulturetag({"tag", "--server", service.address(), "-"}, "s");
  EXPECT_EQ(finished.err,
            "culturetag: (standard input): RESOURCE_EXHAUSTED: the queue is full [retry after 2.5 s]\n");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(attempts, 4);
}

TEST_F(TagCommandTest, DoesNotTryAgainWhatCannotWork) {
  std::atomic<int> attempts = 0;
  FakeTaggingService service([&](auto&, const auto&, auto&) {
    ++attempts;
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "too short");
  });
  EXPECT_EQ(RunCulturetag({"tag", "--server", service.address(), "-"}, "s").exit_code, 1);
  EXPECT_EQ(attempts, 1);
}

TEST_F(TagCommandTest, TellsAServerThatRefusesFromOneThatIsNotThere) {
  FakeTaggingService service([](auto& context, const auto&, auto&) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "-1");  // don't come back
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining");
  });
  EXPECT_EQ(RunCulturetag({"tag", "--server", service.address(), "-"}, "s").err,
            "culturetag: (standard input): UNAVAILABLE: draining\n");
}

TEST_F(TagCommandTest, SaysOnEveryFileThatNoServerAnswers) {
  const DeafPort port;
  const std::string file = folder_.Write("a", "a");
  const Finished finished = RunCulturetag({"tag", "--concurrency", "1", "--server", port.address(), file, file, file});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(finished.out, "");
  const std::string line = absl::StrCat("culturetag: ", file, ": UNAVAILABLE: no server answers at ", port.address(),
                                        "; is culturetag-server running there? (");
  const std::string first = finished.err.substr(0, finished.err.find('\n') + 1);
  EXPECT_THAT(first, StartsWith(line));
  EXPECT_EQ(finished.err, absl::StrCat(first, first, first));
}

TEST_F(TagCommandTest, GivesUpWhenTheTimeoutHasPassed) {
  absl::Notification given_up;
  FakeTaggingService service([&](auto&, const auto&, auto&) {
    given_up.WaitForNotification();
    return grpc::Status::OK;
  });
  const Finished finished = RunCulturetag({"tag", "--timeout", "50ms", "--server", service.address(), "-"}, "s");
  given_up.Notify();
  EXPECT_THAT(finished.err,
              StartsWith("culturetag: (standard input): DEADLINE_EXCEEDED: no answer within --timeout=50ms ("));
  EXPECT_EQ(finished.exit_code, 1);
}

TEST_F(TagCommandTest, SendsTheTokenOfItsFile) {
  std::string authorization;
  FakeTaggingService service([&](auto& context, const auto&, auto&) {
    const auto found = context.client_metadata().find("authorization");
    if (found != context.client_metadata().end()) authorization.assign(found->second.data(), found->second.size());
    return grpc::Status::OK;
  });
  const std::string token = folder_.Write("token", "s3cret\n");
  EXPECT_EQ(RunCulturetag({"tag", "--token-file", token, "--server", service.address(), "-"}, "s").exit_code, 0);
  EXPECT_EQ(authorization, "Bearer s3cret");
}

TEST_F(TagCommandTest, RefusesATokenThatGrpcCannotCarryWithoutPrintingIt) {
  const std::string token = folder_.Write("token", "s3cret\nanother");
  const Finished finished = RunCulturetag({"tag", "--token-file", token, "-"}, "s");
  EXPECT_EQ(finished.err, absl::StrCat("culturetag: INVALID_ARGUMENT: ", token,
                                       ": holds no token: one line of visible ASCII characters is expected\n"));
  EXPECT_EQ(finished.exit_code, 1);
}

TEST_F(TagCommandTest, FailsWhereItsOutputCannotBeWritten) {
  FakeTaggingService service([](auto&, const auto& request, auto& response) { return Echo(request, response); });
  const std::string file = folder_.Write("a", "a");
  const std::string address = service.address();
  const std::vector<const char*> argv = {"culturetag", "tag", "--server", address.c_str(), file.c_str()};
  std::ofstream full("/dev/full");
  FakeTerminal terminal;
  EXPECT_EQ(RunCli(static_cast<int>(argv.size()), argv.data(), {-1, full, terminal.err, {}, terminal.interrupts}), 1);
  EXPECT_EQ(terminal.err.str(), "culturetag: the output can't be written\n");
}

}  // namespace
}  // namespace culturetag::client
