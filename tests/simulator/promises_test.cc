// What the queue promises, and what first come, first served does instead: on the curve of the demo bundle on two cores,
// whose largest batch of two takes 106 ms.
#include <vector>

#include "gtest/gtest.h"
#include "simulator/arrivals.h"
#include "simulator/experiment.h"

namespace culturetag::simulator {
namespace {

constexpr size_t kInteractive = static_cast<size_t>(Priority::kInteractive);
constexpr size_t kBulk = static_cast<size_t>(Priority::kBulk);

int64_t Count(const Summary::Class& one, Outcome outcome) { return one.requests[static_cast<size_t>(outcome)]; }

// Clips of 5 s of one client, at half of the capacity.
Experiment Clips() {
  Experiment experiment;
  experiment.simulation.duration = absl::Minutes(10);
  experiment.load.of_capacity = 0.5;
  experiment.interactive.lengths = *ParseLengths("5s");
  // More than a track of 3 h, so that no clip is refused for it.
  experiment.policy.max_queued_audio = experiment.fcfs.max_queued_audio = absl::Hours(4);
  return experiment;
}

// With another client's track of 3 h, which takes longer than the clips last.
Experiment ClipsAndATrack() {
  Experiment experiment = Clips();
  experiment.trace = {Arrive(0, "archive", 3 * 3600)};
  experiment.trace.front().priority = Priority::kBulk;
  return experiment;
}

double BatchSeconds(const ExperimentResult& result) {
  const int windows = result.setup.max_batch_windows;
  return absl::ToDoubleSeconds(result.setup.curve.Pass(windows, kWindowSamples));
}

TEST(PromisesTest, ALongBulkTrackDelaysClipsByAtMostTwoBatches) {
  const ExperimentResult alone = RunExperiment(Clips()), together = RunExperiment(ClipsAndATrack());
  const double p99_alone = alone.summaries[0].classes[kInteractive].latency->p99;
  const double p99_together = together.summaries[0].classes[kInteractive].latency->p99;
  EXPECT_LE(p99_together, p99_alone + 2 * BatchSeconds(together));
  EXPECT_EQ(Count(together.summaries[0].classes[kInteractive], Outcome::kServed),
            Count(alone.summaries[0].classes[kInteractive], Outcome::kServed));
}

TEST(PromisesTest, ATrackGetsWhatTheClipsLeave) {
  const ExperimentResult together = RunExperiment(ClipsAndATrack());
  const Summary::Class& bulk = together.summaries[0].classes[kBulk];
  ASSERT_EQ(Count(bulk, Outcome::kServed), 1);
  // The clips take half of the device.
  EXPECT_LE(bulk.latency->max, 1.1 * 2 * 3 * 3600 / together.setup.Capacity());
}

TEST(PromisesTest, FirstComeFirstServedMakesClipsWaitForTheTrack) {
  const ExperimentResult together = RunExperiment(ClipsAndATrack());
  // Those that come right after the track wait for nearly all of it.
  EXPECT_GT(together.summaries[1].classes[kInteractive].latency->max, 0.9 * 3 * 3600 / together.setup.Capacity());
  EXPECT_LT(together.summaries[0].classes[kInteractive].latency->max, 30 * BatchSeconds(together));
}

TEST(PromisesTest, ClientsShareByWeightHoweverManyRequestsEachHas) {
  Experiment experiment = Clips();
  experiment.load.of_capacity = 3;
  experiment.interactive.clients = 5;
  experiment.interactive.client_skew = 1;
  experiment.policy.fairness.client_weights = {{"0", 2}};
  const ExperimentResult result = RunExperiment(experiment);
  EXPECT_GT(*result.summaries[0].classes[kInteractive].fairness, 0.99);
  EXPECT_LT(*result.summaries[1].classes[kInteractive].fairness, 0.9);
}

TEST(PromisesTest, ThreeTimesTheCapacityCostsNeitherGoodputNorPromises) {
  Experiment experiment = Clips();
  experiment.load.of_capacity = 3;
  experiment.interactive.lengths = *ParseLengths("uniform:1s:30s");
  experiment.interactive.clients = 20;
  experiment.interactive.deadline = absl::Seconds(10);
  const std::vector<Summary> summaries = RunExperiment(experiment).summaries;
  EXPECT_GE(summaries[0].goodput_share, 0.95);
  const Summary::Class& clips = summaries[0].classes[kInteractive];
  EXPECT_LE(Count(clips, Outcome::kExpired), 0.01 * (Count(clips, Outcome::kServed) + Count(clips, Outcome::kExpired)));
  EXPECT_LT(summaries[1].goodput_share, 0.3);
}

TEST(PromisesTest, CancelledRequestsLeaveTheQueueAtOnce) {
  Experiment experiment = Clips();
  experiment.load.of_capacity = 0.9;
  experiment.interactive.lengths = *ParseLengths("30s");
  experiment.interactive.impatient_share = 0.5;
  experiment.interactive.patience = absl::Milliseconds(300);
  const std::vector<Summary> summaries = RunExperiment(experiment).summaries;
  // At most what was on the device when the caller went: a batch of two.
  const Summary::Class& clips = summaries[0].classes[kInteractive];
  EXPECT_GT(Count(clips, Outcome::kCancelled), 100);
  EXPECT_LE(summaries[0].windows_unwanted, 2 * Count(clips, Outcome::kCancelled));
}

}  // namespace
}  // namespace culturetag::simulator
