#include "simulator/traffic.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "simulator/arrivals.h"

namespace culturetag::simulator {
namespace {

std::vector<Arrival> Generate(const Traffic& traffic, uint64_t seed = 1) {
  GeneratedTrace trace(traffic, seed);
  std::vector<Arrival> arrivals;
  while (const absl::optional<Arrival> arrival = trace.Next()) arrivals.push_back(*arrival);
  return arrivals;
}

// Ten requests a second for 1000 s.
Traffic Steady() {
  Traffic traffic;
  traffic.requests_per_second = 10;
  traffic.duration = absl::Seconds(1000);
  traffic.lengths = *ParseLengths("5s");
  return traffic;
}

TEST(TrafficTest, KeepsItsRateAndItsEnd) {
  const std::vector<Arrival> arrivals = Generate(Steady());
  EXPECT_NEAR(static_cast<double>(arrivals.size()), 10000, 400);  // four standard deviations
  for (size_t i = 1; i < arrivals.size(); ++i) ASSERT_LE(arrivals[i - 1].time, arrivals[i].time);
  EXPECT_LT(arrivals.back().time, At(1000));
}

TEST(TrafficTest, ComesInBurstsWithTheSameMean) {
  Traffic traffic = Steady();
  traffic.bursts = {5, 0.1, absl::Seconds(10)};
  const std::vector<Arrival> arrivals = Generate(traffic);
  EXPECT_NEAR(static_cast<double>(arrivals.size()), 10000, 400);
  int in_burst = 0;
  for (const Arrival& arrival : arrivals) {
    if (absl::ToInt64Milliseconds(arrival.time - absl::UnixEpoch()) % 10000 < 1000) ++in_burst;
  }
  EXPECT_NEAR(in_burst, 5000, 300);
}

TEST(TrafficTest, DividesRequestsAmongClientsBySkew) {
  Traffic traffic = Steady();
  traffic.clients = 2;
  traffic.client_prefix = "c";
  traffic.client_skew = 1;
  std::map<std::string, int> counts;
  for (const Arrival& arrival : Generate(traffic)) ++counts[arrival.client];
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_NEAR(counts["c0"] / 2.0, counts["c1"], 150);
}

TEST(TrafficTest, MakesSomeCallersImpatient) {
  Traffic traffic = Steady();
  traffic.impatient_share = 0.25;
  traffic.patience = absl::Seconds(2);
  traffic.deadline = absl::Seconds(9);
  int impatient = 0;
  for (const Arrival& arrival : Generate(traffic)) {
    EXPECT_EQ(arrival.deadline, absl::Seconds(9));
    if (arrival.patience == absl::Seconds(2)) ++impatient;
  }
  EXPECT_NEAR(impatient, 2500, 200);
}

TEST(TrafficTest, RepeatsItselfBySeedAlone) {
  const auto times = [](uint64_t seed) {
    std::vector<absl::Time> found;
    for (const Arrival& arrival : Generate(Steady(), seed)) found.push_back(arrival.time);
    return found;
  };
  EXPECT_EQ(times(1), times(1));
  EXPECT_NE(times(1), times(2));
}

TEST(TrafficTest, MayBeNone) { EXPECT_TRUE(Generate(Traffic()).empty()); }

}  // namespace
}  // namespace culturetag::simulator
