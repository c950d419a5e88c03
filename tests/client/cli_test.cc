#include "client/cli.h"

#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/fake_tagging_service.h"
#include "client/run_culturetag.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(CommandLineTest, FindsTheServerInTheEnvironment) {
  FakeTaggingService service({});
  setenv("CULTURETAG_SERVER", service.address().c_str(), 1);
  const Finished finished = RunCulturetag({"models"});
  unsetenv("CULTURETAG_SERVER");
  EXPECT_EQ(finished.out, "The server has no models.\n");
}

TEST(CommandLineTest, ExitsWithTwoAndNamesWhatIsWrong) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "A subcommand is required"},
      {{"tag"}, "FILE is required"},
      {{"models", "--nope"}, "--nope"},
      {{"tag", "a", "--top-k", "-1"}, "--top-k: Value -1 not in range 0 to"},
      {{"tag", "a", "--min-score", "1.5"}, "--min-score: Value 1.5 not in range 0"},
      {{"tag", "a", "--jobs", "-1"}, "--jobs: Value -1 not in range 0 to 256"},
      {{"tag", "a", "--json", "--csv"}, "--json excludes --csv"},
      {{"tag", "a", "--json", "--out", "o"}, "--json: nothing can be appended to an array"},
      {{"tag", "a", "-0"}, "--null requires --files-from"},
      {{"tag", "-", "--files-from", "-"}, "--files-from: standard input is either audio or the list"},
      {{"tag", "a", "--timeline", "--csv"}, "--timeline: is for people, not beside --json, --jsonl, --csv or --out"},
      {{"tag", "a", "b", "--html", "c.html"}, "--html: a page is for one FILE; give more of them a folder"},
      {{"tag", "-", "--html", "c"}, "--html: a page needs a file that can be read twice, not standard input"},
      {{"tag", "--live", "--timeline"}, "--live: --timeline and --html need files"},
      {{"bench", "--arrivals", "constant"}, "--arrivals requires --rate"},
      {{"bench", "--rate", "1", "--concurrency", "2"}, "--rate excludes --concurrency"},
      {{"bench", "--clips", "5s:0"}, "--clips: `5s:0` has no weight above 0 behind the colon"},
      {{"bench", "--clips", "5s:inf"}, "--clips: `5s:inf` has no weight above 0 behind the colon"},
      {{"bench", "--clips", "13h"}, "--clips: `13h` is longer than the 12h that a message holds"},
      {{"bench", "--length", "inf"}, "--length: `inf` is no duration; write 500ms, 60s or 2m"},
      {{"bench", "--rate", "nan"}, "--rate: `nan` is no number above 0"},
      {{"bench", "--goal", "1s", "--goal-percentile", "nan"}, "--goal-percentile: `nan` is no number above 0"},
      {{"bench", "--search", "--rate", "1"}, "--search requires --goal"},
      {{"tag", "a", "--live"}, "FILE: --live reads standard input and no file"},
      {{"tag", "a", "--rate", "8000"}, "--rate requires --live"},
      {{"tag", "--live", "--rate", "1"}, "--rate: Value 1 not in range 4000 to 384000"},
      {{"tag", "--live", "--csv"}, "--csv: --live prints text or --json"},
      {{"tag", "a", "--tls-cert", "/dev/null"}, "--tls-cert requires --tls-key"},
      {{"embed", "a"}, "-o or --out is required"},
      {{"embed", "a", "b", "-o", "c"}, "-o: is for one FILE; give more of them a folder with --out"},
      {{"tag", "a", "--priority", "high"}, "--priority: high not in {interactive,bulk}"},
      {{"tag", "a", "--timeout", "60"}, "--timeout: `60` is no duration; write 500ms, 60s or 2m"},
      {{"tag", "a", "--timeout", "0s"}, "--timeout: `0s` is no duration"},
      {{"tag", "a", "--server", "localhost"}, "--server: `localhost` has no port; write HOST:PORT"},
      {{"tag", "a", "--token-file", "/no/such"}, "--token-file: File does not exist: /no/such"},
  };
  for (const auto& [arguments, complaint] : cases) {
    const Finished finished = RunCulturetag(arguments);
    EXPECT_EQ(finished.exit_code, 2) << complaint;
    EXPECT_THAT(finished.err, HasSubstr(complaint));
    EXPECT_EQ(finished.out, "") << complaint;
  }
}

TEST(CommandLineTest, PrintsHelpWithExamplesAndShapesForEveryCommand) {
  EXPECT_THAT(RunCulturetag({"--help"}).out, HasSubstr("tag "));
  const Finished tag = RunCulturetag({"tag", "--help"});
  EXPECT_EQ(tag.exit_code, 0);
  EXPECT_THAT(tag.out, HasSubstr("\n  culturetag tag melody.flac\n"));
  EXPECT_THAT(tag.out, HasSubstr(R"({"file", "error": {"code", "message", "field", "retry_after_seconds"}})"));
  const Finished models = RunCulturetag({"models", "--help"});
  EXPECT_EQ(models.exit_code, 0);
  EXPECT_THAT(models.out, HasSubstr("\n  culturetag models\n"));
  EXPECT_THAT(models.out, HasSubstr(R"("untrained_reason")"));
}

TEST(CommandLineTest, SaysWhetherTheServerServes) {
  FakeTaggingService service({});
  const Finished healthy = RunCulturetag({"health", "--server", service.address()});
  EXPECT_EQ(healthy.out, "SERVING\n");
  EXPECT_EQ(healthy.exit_code, 0);
  service.SetServing(false);
  const Finished draining = RunCulturetag({"health", "--server", service.address()});
  EXPECT_EQ(draining.out, "NOT_SERVING\n");
  EXPECT_EQ(draining.exit_code, 1);
}

TEST(CommandLineTest, PrefersItsOptionsToTheEnvironment) {
  FakeTaggingService service({});
  setenv("CULTURETAG_SERVER", "localhost:1", 1);
  for (const std::string command : {"models", "health"}) {
    EXPECT_EQ(RunCulturetag({command, "--server", service.address()}).exit_code, 0) << command;
  }
  unsetenv("CULTURETAG_SERVER");
}

TEST(CommandLineTest, SendsTokenAndClientIdOfItsOptions) {
  std::string token;
  std::string client_id;
  FakeTaggingService service([&](auto& context, const auto&, auto&) {
    const auto value = [&context](const char* key) {
      const auto found = context.client_metadata().find(key);
      return found == context.client_metadata().end() ? "" : std::string(found->second.data(), found->second.size());
    };
    token = value("authorization");
    client_id = value("x-client-id");
    return grpc::Status::OK;
  });
  setenv("CULTURETAG_TOKEN", "s3cret", 1);
  EXPECT_EQ(RunCulturetag({"tag", "-", "--client-id", "batch", "--server", service.address()}, "s").exit_code, 0);
  unsetenv("CULTURETAG_TOKEN");
  EXPECT_EQ(token, "Bearer s3cret");
  EXPECT_EQ(client_id, "batch");
}

TEST(CommandLineTest, CompletesCommandsAndTheirOptions) {
  const Finished finished = RunCulturetag({"completion"});
  EXPECT_EQ(finished.exit_code, 0);
  const TemporaryFolder folder;
  const std::string script = folder.Write("completion", finished.out);
  const auto complete = [&script](const std::string& words, int current) {
    const std::string command = absl::StrCat("bash -c 'source ", script, "; COMP_WORDS=(", words, "); COMP_CWORD=",
                                             current, "; _culturetag; echo -n \"${COMPREPLY[*]}\"'");
    FILE* const shell = popen(command.c_str(), "r");
    std::string reply(1000, '\0');
    reply.resize(fread(reply.data(), 1, reply.size(), shell));
    pclose(shell);
    return reply;
  };
  EXPECT_EQ(complete("culturetag t", 1), "tag");
  EXPECT_EQ(complete("culturetag tag --tim", 2), "--timeline --timeout");
  EXPECT_EQ(complete("culturetag tag song", 2), "");
}

TEST(CommandLineTest, PrintsItsVersion) { EXPECT_THAT(RunCulturetag({"--version"}).out, StartsWith("culturetag ")); }

}  // namespace
}  // namespace culturetag::client
