#include "base/logging.h"

#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

TEST(FormatLogLineTest, WritesTextAsKeysAndValues) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "info", "listening", {{"port", 50051}, {"device", "cpu"}}),
            "info listening port=50051 device=cpu");
}

TEST(FormatLogLineTest, WritesJsonObjects) {
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, "error", "lost", {{"device", "cuda:0"}, {"batch", 8}}),
            R"({"level":"error","message":"lost","device":"cuda:0","batch":"8"})");
}

TEST(FormatLogLineTest, QuotesTextThatIsNoSingleWord) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "info", "x", {{"a", ""}, {"b", "two words"}, {"c", "k=v"}}),
            R"(info x a="" b="two words" c="k=v")");
}

TEST(FormatLogLineTest, EscapesWhatCouldBreakOrForgeALine) {
  const std::string hostile = "a\nerror forged\t\"\\\x1b[31m";
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "info", "x", {{"name", hostile}}),
            R"(info x name="a\u000aerror forged\u0009\"\\\u001b[31m")");
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, "info", "x", {{"name", hostile}}),
            R"({"level":"info","message":"x","name":"a\u000aerror forged\u0009\"\\\u001b[31m"})");
}

TEST(FormatLogLineTest, PassesUtf8) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "info", "x", {{"makam", "Hicazkâr"}}), "info x makam=Hicazkâr");
}

TEST(LogTest, WritesALineWithTimeAndLevelToStandardError) {
  CaptureStderr();
  LogInfo("ready", {{"windows", 3}});
  LogWarning("slow");
  LogError("lost");
  const std::vector<std::string> lines = absl::StrSplit(GetCapturedStderr(), '\n', absl::SkipEmpty());
  const std::string time = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z";
  EXPECT_THAT(lines, ::testing::ElementsAre(::testing::MatchesRegex(time + " info ready windows=3"),
                                            ::testing::MatchesRegex(time + " warning slow"),
                                            ::testing::MatchesRegex(time + " error lost")));
}

TEST(LogTest, WritesJsonOnceAsked) {
  SetLogFormat(LogFormat::kJson);
  CaptureStderr();
  LogInfo("{}", {{"windows", 3}});
  const std::string line = GetCapturedStderr();
  SetLogFormat(LogFormat::kText);
  EXPECT_THAT(line, ::testing::MatchesRegex(R"(\{"time":"[^"]+Z","level":"info","message":"\{\}","windows":"3"\}.)"));
}

TEST(LogTest, KeepsLinesOfManyThreadsApart) {
  constexpr int kThreads = 4;
  constexpr int kLines = 50;
  CaptureStderr();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([] {
      for (int line = 0; line < kLines; ++line) LogInfo("tick", {{"windows", 1}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<std::string> lines = absl::StrSplit(GetCapturedStderr(), '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), static_cast<size_t>(kThreads * kLines));
  EXPECT_THAT(lines, ::testing::Each(::testing::EndsWith("Z info tick windows=1")));
}

}  // namespace
}  // namespace culturetag
