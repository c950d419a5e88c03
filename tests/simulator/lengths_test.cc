#include "simulator/lengths.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/request.h"

namespace culturetag::simulator {
namespace {

using testing::HasSubstr;

TEST(WindowCountTest, CutsAsTheServersWindowerDoes) {
  EXPECT_EQ(WindowCount(absl::Seconds(1)), 1);
  EXPECT_EQ(WindowCount(absl::Seconds(5)), 1);
  EXPECT_EQ(WindowCount(absl::Milliseconds(5001)), 2);
  EXPECT_EQ(WindowCount(absl::Hours(3)), 2160);
  EXPECT_EQ(WindowSamples(absl::Milliseconds(1500)), 36000U);
  EXPECT_EQ(WindowSamples(absl::Seconds(12)), kWindowSamples);
}

TEST(LengthsTest, HasOneLengthOrThoseBetweenTwo) {
  EXPECT_EQ(ParseLengths("7s")->Quantile(0.9), absl::Seconds(7));
  EXPECT_EQ(ParseLengths("uniform:10s:20s")->Quantile(0), absl::Seconds(10));
  EXPECT_EQ(ParseLengths("uniform:10s:20s")->Quantile(0.5), absl::Seconds(15));
  EXPECT_EQ(ParseLengths("uniform:10s:20s")->Quantile(0.123456), absl::Milliseconds(11200));
}

TEST(LengthsTest, HasAHeavyTailThatEndsAtTheLongest) {
  const Lengths lengths = *ParseLengths("pareto:1s:3h:1");
  EXPECT_EQ(lengths.Quantile(0), absl::Seconds(1));
  EXPECT_EQ(lengths.Quantile(0.5), absl::Seconds(2) - absl::Milliseconds(100));  // a trifle less than 2 s, for the cut
  EXPECT_EQ(lengths.Quantile(0.9), absl::Milliseconds(9900));
  EXPECT_GT(lengths.Quantile(0.9999999), absl::Hours(2));
  EXPECT_LE(lengths.Quantile(0.9999999), absl::Hours(3));
}

TEST(LengthsTest, KnowsTheMeanWork) {
  EXPECT_EQ(ParseLengths("2s")->MeanWork(), absl::Seconds(2));
  EXPECT_EQ(ParseLengths("12s")->MeanWork(), absl::Seconds(15));  // three windows
  EXPECT_NEAR(absl::ToDoubleSeconds(ParseLengths("uniform:5s:15s")->MeanWork()), 12.5, 0.1);
}

TEST(LengthsTest, SaysWhatIsWrong) {
  for (const auto& [text, complaint] : {std::pair<std::string, std::string>{"5", "no duration"},
                                        {"uniform:1s", "wrong number of parts"},
                                        {"pareto:1s:3h", "wrong number of parts"},
                                        {"uniform:9s:3s", "rise"},
                                        {"10ms", "at least 100ms"},
                                        {"30h", "at most 24h"},
                                        {"pareto:1s:3h:0", "the tail"}}) {
    const absl::Status status = ParseLengths(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr(complaint));
    EXPECT_THAT(status.message(), HasSubstr("write 5s, uniform:1s:30s or pareto:1s:3h:1.1"));
  }
}

}  // namespace
}  // namespace culturetag::simulator
