#include "simulator/cli.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "fakes/temporary_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag::simulator {
namespace {

using testing::HasSubstr;

struct Finished {
  int exit_code;
  std::string out;
  std::string err;
};

Finished RunSimulate(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"culturetag-simulate"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  const int exit_code = RunCli(static_cast<int>(argv.size()), argv.data(), {out, err});
  return {exit_code, out.str(), err.str()};
}

TEST(CommandLineTest, TeachesInItsHelp) {
  const Finished finished = RunSimulate({"--help"});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_THAT(finished.out, HasSubstr("\n    culturetag-simulate --load 3 --deadline 10s\n"));
  EXPECT_THAT(finished.out, HasSubstr("time,client,priority,seconds,deadline,patience"));
  EXPECT_THAT(finished.out, HasSubstr(R"("windows_unwanted")"));
}

TEST(CommandLineTest, ExitsWithTwoAndNamesWhatIsWrong) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--nope"}, "--nope"},
      {{"--load", "-1"}, "--load: Value -1 not in range 0"},
      {{"--load", "1", "--audio-rate", "2"}, "--load excludes --audio-rate"},
      {{"--duration", "10"}, "--duration: `10` is no duration of at least 1s; write 250ms, 60s or 10m"},
      {{"--deadline", "-5s"}, "--deadline: `-5s` is no duration"},
      {{"--lengths", "pareto"}, "--lengths: `pareto`: the wrong number of parts"},
      {{"--balancer", "best"}, "--balancer: best not in {round-robin,least-outstanding,random-of-two}"},
      {{"--schedulers", "lifo"}, "--schedulers: lifo not in {culturetag,fcfs}"},
      {{"--client-weights", "anna=0"}, "--client-weights: `anna=0` isn't NAME=WEIGHT"},
      {{"--burst-factor", "20"}, "--burst-factor: times --burst-share is above 1"},
  };
  for (const auto& [arguments, complaint] : cases) {
    const Finished finished = RunSimulate(arguments);
    EXPECT_EQ(finished.exit_code, 2) << complaint;
    EXPECT_THAT(finished.err, HasSubstr(complaint));
    EXPECT_EQ(finished.out, "") << complaint;
  }
}

TEST(CommandLineTest, ExitsWithOneForAFileThatCannotBeUsed) {
  EXPECT_EQ(RunSimulate({"--device", "no-such"}).exit_code, 1);
  EXPECT_THAT(RunSimulate({"--device", "no-such"}).err, HasSubstr("--device: `no-such` is neither a file"));
  EXPECT_EQ(RunSimulate({"--trace", "no-such"}).exit_code, 1);
  EXPECT_THAT(RunSimulate({"--trace", "no-such"}).err, HasSubstr("--trace: `no-such` can't be read"));
}

TEST(CommandLineTest, ComparesBothQueuesAndTellsTheSameToPeopleAndPrograms) {
  const std::vector<std::string> arguments = {"--duration", "60s", "--load", "0.5"};
  const Finished text = RunSimulate(arguments);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.err, "");
  std::vector<std::string> with_json = arguments;
  with_json.emplace_back("--json");
  const auto json = nlohmann::json::parse(RunSimulate(with_json).out);
  ASSERT_EQ(json["results"].size(), 2U);
  EXPECT_EQ(json["results"][0]["scheduler"], "culturetag");
  EXPECT_EQ(json["results"][1]["scheduler"], "fcfs");
  const auto served = json["results"][0]["interactive"]["requests"]["served"].get<int>();
  EXPECT_GT(served, 0);
  EXPECT_THAT(text.out, HasSubstr(" " + std::to_string(served) + " "));
}

TEST(CommandLineTest, RepeatsItselfToTheLastDigitForASeed) {
  const auto run = [](const std::string& seed) {
    return RunSimulate({"--json", "--duration", "60s", "--replicas", "5", "--balancer", "random-of-two", "--jitter", "0.2",
                        "--bulk-load-share", "0.3", "--load", "2", "--deadline", "5s", "--seed", seed})
        .out;
  };
  EXPECT_EQ(run("1"), run("1"));
  EXPECT_NE(run("1"), run("2"));
}

TEST(CommandLineTest, RunsATraceBesidesTheLoadOrWithoutIt) {
  const TemporaryFolder folder;
  const std::string path =
      folder.Write("trace.csv", "time,client,priority,seconds,deadline\n0,a,bulk,60,\n1,b,interactive,5,10\n");
  const Finished alone = RunSimulate({"--json", "--load", "0", "--trace", path});
  const auto json = nlohmann::json::parse(alone.out);
  EXPECT_EQ(json["results"][0]["windows_run"], 13);
  EXPECT_EQ(json["results"][0]["bulk"]["requests"]["served"], 1);
  EXPECT_EQ(json["results"][0]["interactive"]["requests"]["served"], 1);
}

TEST(CommandLineTest, PassesOnTheFlagsOfTheQueue) {
  // Two clients at three times the capacity, of which one weighs three times as much: its index counts by weight.
  const auto json = nlohmann::json::parse(
      RunSimulate({"--json", "--load", "3", "--clients", "2", "--lengths", "5s", "--client-weights", "client-0=3", "--duration",
                   "5m", "--schedulers", "culturetag", "--max-queued-audio", "10h"})
          .out);
  ASSERT_EQ(json["results"].size(), 1U);
  EXPECT_GT(json["results"][0]["interactive"]["fairness"].get<double>(), 0.999);
}

}  // namespace
}  // namespace culturetag::simulator
