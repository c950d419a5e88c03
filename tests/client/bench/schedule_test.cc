#include "client/bench/schedule.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

TEST(MakeScheduleTest, SpacesConstantArrivalsEquallyAndGivesClientsTurns) {
  ScheduleOptions options;
  options.process = ArrivalProcess::kConstant;
  options.rate = 4;
  options.length = absl::Seconds(1);
  options.client_count = 3;
  const std::vector<Arrival> schedule = MakeSchedule(options);
  ASSERT_EQ(schedule.size(), 4u);
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    EXPECT_EQ(schedule[i].due, absl::Milliseconds(250) * i);
    EXPECT_EQ(schedule[i].client, i % 3);
  }
}

TEST(MakeScheduleTest, DrawsPoissonGapsWithTheRateAsTheirMeanAndTheirDeviation) {
  ScheduleOptions options;
  options.rate = 1000;
  options.length = absl::Seconds(100);
  const std::vector<Arrival> schedule = MakeSchedule(options);
  // 100,000 arrivals with a deviation of sqrt(100,000) = 316.
  EXPECT_NEAR(static_cast<double>(schedule.size()), 1e5, 4 * 316);
  double squares = 0;
  for (std::size_t i = 1; i < schedule.size(); ++i) {
    const double gap = absl::ToDoubleSeconds(schedule[i].due - schedule[i - 1].due);
    ASSERT_GE(gap, 0);
    squares += gap * gap;
  }
  // Of an exponential gap with mean m, the mean square is 2 m^2.
  EXPECT_NEAR(squares / static_cast<double>(schedule.size()), 2e-6, 0.1e-6);
}

TEST(MakeScheduleTest, PicksClipsByTheirWeights) {
  ScheduleOptions options;
  options.rate = 10000;
  options.length = absl::Seconds(1);
  options.clip_weights = {3, 1};
  const std::vector<Arrival> schedule = MakeSchedule(options);
  const auto second =
      std::count_if(schedule.begin(), schedule.end(), [](const Arrival& arrival) { return arrival.clip == 1; });
  EXPECT_NEAR(static_cast<double>(second) / static_cast<double>(schedule.size()), 0.25, 0.02);
}

TEST(MakeScheduleTest, IsTheSameForTheSameSeedOnly) {
  ScheduleOptions options;
  options.rate = 10;
  options.length = absl::Seconds(10);
  const auto last_due = [&] { return MakeSchedule(options).back().due; };
  const absl::Duration first = last_due();
  EXPECT_EQ(last_due(), first);
  options.seed = 2;
  EXPECT_NE(last_due(), first);
}

TEST(ParseTraceTest, ReadsTimesLengthsAndClients) {
  const auto outcome = ParseTrace("# a morning\n0 5\n\n0.5 30 radio  # a song\n0.5 0.5 web\n");
  const auto& trace = std::get<std::vector<TraceEntry>>(outcome);
  ASSERT_EQ(trace.size(), 3u);
  EXPECT_EQ(trace[0].due, absl::ZeroDuration());
  EXPECT_EQ(trace[0].client, "");
  EXPECT_EQ(trace[1].due, absl::Milliseconds(500));
  EXPECT_EQ(trace[1].clip_length, absl::Seconds(30));
  EXPECT_EQ(trace[1].client, "radio");
}

TEST(ParseTraceTest, NamesTheLineThatIsWrong) {
  const auto message = [](const char* text) { return std::get<Failure>(ParseTrace(text)).message; };
  EXPECT_EQ(message("0 5\nnow 5\n"), "line 2 of the trace isn't `SECONDS_SINCE_START CLIP_SECONDS [CLIENT]`");
  EXPECT_EQ(message("0 5 a b"), "line 1 of the trace isn't `SECONDS_SINCE_START CLIP_SECONDS [CLIENT]`");
  EXPECT_EQ(message("-1 5"), "line 1 of the trace has a negative time or a clip of 0 s");
  EXPECT_EQ(message("inf 5"), "line 1 of the trace has a time without end");
  EXPECT_EQ(message("0 inf"), "line 1 of the trace has a clip longer than the 12h that a message holds");
  EXPECT_EQ(message("1 5\n0 5"), "line 2 of the trace goes back in time");
  EXPECT_EQ(message("# nothing"), "line 1 of the trace is the last, and none has a request");
}

}  // namespace
}  // namespace culturetag::client
