#include "simulator/trace.h"

#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/arrivals.h"

namespace culturetag::simulator {
namespace {

using testing::HasSubstr;

absl::StatusOr<std::vector<Arrival>> Read(const std::string& csv) {
  std::istringstream in(csv);
  return ReadTrace(in);
}

TEST(TraceTest, ReadsATableInTheOrderOfTime) {
  const auto trace = Read("time,client,priority,seconds,deadline,patience\r\n2.5,anna,interactive,12.5,2,1.5\r\n\n0,archive,bulk,10800,,\n");
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->size(), 2U);
  EXPECT_EQ((*trace)[0].client, "archive");
  EXPECT_EQ((*trace)[0].priority, Priority::kBulk);
  EXPECT_EQ((*trace)[0].audio, absl::Hours(3));
  EXPECT_EQ((*trace)[0].deadline, absl::InfiniteDuration());
  EXPECT_EQ((*trace)[0].patience, absl::InfiniteDuration());
  EXPECT_EQ((*trace)[1].time, At(2.5));
  EXPECT_EQ((*trace)[1].priority, Priority::kInteractive);
  EXPECT_EQ((*trace)[1].deadline, absl::Seconds(2));
  EXPECT_EQ((*trace)[1].patience, absl::Milliseconds(1500));
}

TEST(TraceTest, NeedsNoPatience) {
  const auto trace = Read("time,client,priority,seconds,deadline\n1,anna,interactive,3,4\n");
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(trace->front().patience, absl::InfiniteDuration());
}

TEST(TraceTest, NamesTheLineThatIsWrong) {
  const std::string header = "time,client,priority,seconds,deadline\n0,a,bulk,1,\n";
  EXPECT_THAT(Read("").status().message(), HasSubstr("line 1 must be"));
  EXPECT_THAT(Read("client,time\n").status().message(), HasSubstr("line 1 must be"));
  EXPECT_THAT(Read(header + "0,a,bulk,1\n").status().message(), HasSubstr("line 3: expected 5 cells"));
  EXPECT_THAT(Read(header + "0,a,urgent,1,\n").status().message(), HasSubstr("line 3: priority is `urgent`"));
  EXPECT_THAT(Read(header + "-1,a,bulk,1,\n").status().message(), HasSubstr("line 3: time is `-1`"));
  EXPECT_THAT(Read(header + "0,a,bulk,0.1,\n").status().message(), HasSubstr("line 3: seconds is `0.1`"));
  EXPECT_THAT(Read(header + "0,a,bulk,nan,\n").status().message(), HasSubstr("line 3: seconds is `nan`"));
  EXPECT_THAT(Read(header + "0,a,bulk,1,soon\n").status().message(), HasSubstr("line 3: deadline is `soon`"));
}

TEST(TraceTest, MergesTracesByTime) {
  std::vector<std::unique_ptr<Trace>> traces;
  traces.push_back(std::make_unique<ListTrace>(std::vector<Arrival>{Arrive(1, "a", 5), Arrive(4, "a", 5)}));
  traces.push_back(std::make_unique<ListTrace>(std::vector<Arrival>{}));
  traces.push_back(std::make_unique<ListTrace>(std::vector<Arrival>{Arrive(2, "b", 5), Arrive(3, "b", 5)}));
  MergedTrace merged(std::move(traces));
  std::string order;
  while (const absl::optional<Arrival> arrival = merged.Next()) order += arrival->client;
  EXPECT_EQ(order, "abba");
}

}  // namespace
}  // namespace culturetag::simulator
