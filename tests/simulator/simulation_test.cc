#include "simulator/simulation.h"

#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/arrivals.h"
#include "simulator/experiment.h"

namespace culturetag::simulator {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

constexpr size_t kInteractive = static_cast<size_t>(Priority::kInteractive);
constexpr size_t kBulk = static_cast<size_t>(Priority::kBulk);

int64_t Count(const Summary::Class& one, Outcome outcome) { return one.requests[static_cast<size_t>(outcome)]; }

int64_t Requests(const Summary& summary) {
  int64_t count = 0;
  for (const Summary::Class& one : summary.classes) count = std::accumulate(one.requests.begin(), one.requests.end(), count);
  return count;
}

// Clips of one window, one at a time, each 50 ms of a device.
Experiment OneWindowClips() {
  Experiment experiment;
  experiment.curve = AffineCurve({}, absl::Milliseconds(50));
  experiment.max_batch_windows = 1;
  experiment.interactive.lengths = *ParseLengths("5s");
  experiment.fcfs.max_queue_delay = absl::ZeroDuration();
  return experiment;
}

Results SimulateTrace(std::vector<Arrival> arrivals, SimulationOptions options = {}) {
  ListTrace trace(std::move(arrivals));
  PolicyScheduler::Options policy;
  policy.max_batch_windows = 2;
  const DeviceCurve curve = AffineCurve({}, absl::Seconds(1));
  return Simulate(options, curve, [&] { return std::make_unique<PolicyScheduler>(policy, curve); }, trace);
}

// With Poisson arrivals and a service time of D, an M/D/1 queue at utilisation rho waits rho * D / (2 * (1 - rho)) in the
// mean (Pollaczek and Khinchine).
TEST(SimulationTest, WaitsAsLongAsQueueingTheorySays) {
  for (const double rho : {0.3, 0.6, 0.9}) {
    Experiment experiment = OneWindowClips();
    experiment.load.of_capacity = rho;
    experiment.simulation.duration = absl::Hours(10);
    const double expected = 0.05 + rho * 0.05 / (2 * (1 - rho));
    for (const Summary& summary : RunExperiment(experiment).summaries) {
      EXPECT_NEAR(summary.classes[kInteractive].latency->mean, expected, 0.03 * expected) << summary.scheduler << " at " << rho;
      EXPECT_NEAR(summary.device_busy_share, rho, 0.01) << summary.scheduler;
    }
  }
}

// Passes that vary cost as much as the formula of Pollaczek and Khinchine says: the wait grows by 1 + cv^2.
TEST(SimulationTest, WaitsLongerIfPassesVary) {
  Experiment experiment = OneWindowClips();
  experiment.load.of_capacity = 0.6;
  experiment.simulation.duration = absl::Hours(10);
  experiment.simulation.jitter = 1;
  const double expected = 0.05 + 2 * 0.6 * 0.05 / (2 * 0.4);
  for (const Summary& summary : RunExperiment(experiment).summaries) {
    EXPECT_NEAR(summary.classes[kInteractive].latency->mean, expected, 0.03 * expected) << summary.scheduler;
  }
}

TEST(SimulationTest, EndsEveryRequestExactlyOnce) {
  std::mt19937 random(1);
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Experiment experiment;
    experiment.simulation.seed = seed;
    experiment.simulation.duration = absl::Seconds(60);
    experiment.simulation.replicas = static_cast<int>(1 + random() % 4);
    experiment.simulation.balancer = static_cast<BalancerKind>(random() % 3);
    experiment.simulation.jitter = 0.3;
    experiment.max_batch_windows = static_cast<int>(1 + random() % 8);
    experiment.load = {0.5 * static_cast<double>(1 + random() % 6), absl::nullopt, 0.3};
    experiment.interactive.lengths = *ParseLengths("uniform:1s:30s");
    experiment.interactive.clients = static_cast<int>(1 + random() % 30);
    experiment.interactive.deadline = absl::Seconds(1 + static_cast<int>(random() % 10));
    experiment.interactive.impatient_share = 0.2;
    experiment.interactive.patience = absl::Seconds(1);
    experiment.bulk.lengths = *ParseLengths("pareto:10s:1h:1.1");
    experiment.policy.max_queue_delay = absl::Milliseconds(static_cast<int64_t>(random() % 200));
    experiment.policy.max_queued_audio = absl::Minutes(5);
    experiment.fcfs.max_queued_audio = absl::Minutes(5);
    experiment.fcfs.max_queue_delay = absl::Milliseconds(static_cast<int64_t>(random() % 200));
    const std::vector<Summary> summaries = RunExperiment(experiment).summaries;
    EXPECT_GT(Requests(summaries[0]), 0) << "seed " << seed;
    EXPECT_EQ(Requests(summaries[0]), Requests(summaries[1])) << "seed " << seed;
    for (const Summary& summary : summaries) {
      for (const Summary::Class& one : summary.classes) EXPECT_EQ(Count(one, Outcome::kPending), 0) << "seed " << seed;
    }
  }
}

TEST(SimulationTest, RunsNothingForCallersWhoHaveGone) {
  std::vector<Arrival> arrivals = {Arrive(0, "a", 5), Arrive(0, "b", 500), Arrive(0.5, "c", 5)};
  arrivals[1].patience = absl::Milliseconds(1500);
  const Results results = SimulateTrace(arrivals);
  // a and a window of b by 2 s, when the caller of b has gone; then c alone.
  EXPECT_THAT(results.classes[kInteractive].latencies, ElementsAre(DoubleNear(2, 1e-9), DoubleNear(2.5, 1e-9)));
  EXPECT_EQ(results.classes[kInteractive].requests[static_cast<size_t>(Outcome::kCancelled)], 1);
  EXPECT_EQ(results.windows_run, 3);
  EXPECT_EQ(results.windows_unwanted, 1);
  EXPECT_EQ(results.windows_unanswered, 0);
}

TEST(SimulationTest, CountsWindowsOfRequestsThatFailHalfWay) {
  std::vector<Arrival> arrivals = {Arrive(0, "a", 30)};
  arrivals[0].patience = absl::Seconds(3);
  const Results results = SimulateTrace(arrivals);
  EXPECT_EQ(results.windows_unanswered, 2);
  EXPECT_EQ(results.windows_unwanted, 2);
  EXPECT_EQ(results.audio_answered, absl::ZeroDuration());
  EXPECT_EQ(results.audio_scored, absl::Seconds(20));
}

TEST(SimulationTest, TakesWhatIsScoredAtItsDeadlineForInTime) {
  std::vector<Arrival> arrivals = {Arrive(0, "a", 5)};
  arrivals[0].deadline = absl::Seconds(1);
  EXPECT_EQ(SimulateTrace(arrivals).classes[kInteractive].requests[static_cast<size_t>(Outcome::kServed)], 1);
}

TEST(SimulationTest, BatchesWhatArrivesAtTheSameTime) {
  EXPECT_EQ(SimulateTrace({Arrive(1, "a", 5), Arrive(1, "b", 5)}).batches, 1);
}

TEST(SimulationTest, MeasuresRatesOnlyWhileRequestsArrive) {
  SimulationOptions options;
  options.duration = absl::Milliseconds(5500);
  const Results results = SimulateTrace({Arrive(0, "a", 50)}, options);
  EXPECT_EQ(results.windows_run, 10);
  EXPECT_EQ(results.audio_scored, absl::Seconds(20));  // two passes of 2 s
  EXPECT_EQ(results.audio_answered, absl::Seconds(20));
  EXPECT_EQ(results.device_busy, absl::Milliseconds(5500));
}

TEST(SimulationTest, SpreadsLoadOverReplicas) {
  Experiment experiment = OneWindowClips();
  experiment.simulation.replicas = 20;
  experiment.simulation.duration = absl::Minutes(10);
  experiment.load.of_capacity = 0.9;
  experiment.interactive.lengths = *ParseLengths("uniform:5s:30s");
  experiment.schedulers = {SchedulerKind::kPolicy};
  const auto mean_latency = [&](BalancerKind balancer) {
    experiment.simulation.balancer = balancer;
    return RunExperiment(experiment).summaries[0].classes[kInteractive].latency->mean;
  };
  const double round_robin = mean_latency(BalancerKind::kRoundRobin);
  const double random_of_two = mean_latency(BalancerKind::kRandomOfTwo);
  const double least_outstanding = mean_latency(BalancerKind::kLeastOutstanding);
  EXPECT_LT(least_outstanding, random_of_two);
  EXPECT_LT(least_outstanding, round_robin);
}

TEST(SimulationTest, TakesTheWorkThatAClassHasFromItsShareOfTheLoad) {
  Experiment experiment;
  experiment.schedulers = {SchedulerKind::kPolicy};
  experiment.simulation.duration = absl::Hours(20);
  experiment.load = {0.8, absl::nullopt, 0.25};
  experiment.interactive.lengths = *ParseLengths("10s");
  experiment.bulk.lengths = *ParseLengths("60s");
  const Summary summary = RunExperiment(experiment).summaries[0];
  EXPECT_NEAR(summary.throughput_share, 0.8, 0.01);
  const auto clips = static_cast<double>(Count(summary.classes[kInteractive], Outcome::kServed));
  const auto tracks = static_cast<double>(Count(summary.classes[kBulk], Outcome::kServed));
  EXPECT_NEAR(tracks * 60 / (tracks * 60 + clips * 10), 0.25, 0.01);
}

}  // namespace
}  // namespace culturetag::simulator
