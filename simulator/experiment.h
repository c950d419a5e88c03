// One run of the simulator from its options to its figures: the same arrivals before each scheduler that is compared.
#ifndef CULTURETAG_SIMULATOR_EXPERIMENT_H_
#define CULTURETAG_SIMULATOR_EXPERIMENT_H_

#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "simulator/fcfs_scheduler.h"
#include "simulator/policy_scheduler.h"
#include "simulator/report.h"
#include "simulator/simulation.h"
#include "simulator/traffic.h"

namespace culturetag::simulator {

enum class SchedulerKind { kPolicy, kFcfs };

// What is printed for it: "culturetag" or "fcfs".
const char* NameOf(SchedulerKind kind);
// "round-robin", "least-outstanding" or "random-of-two".
const char* NameOf(BalancerKind kind);

// The work that arrives, over all replicas. The rates, durations and classes of an Experiment's two Traffics are set from it.
struct Load {
  double of_capacity = 0.8;             // as a share of what all replicas can score at best
  absl::optional<double> audio_rate;    // or, instead of that, as such
  double bulk_share = 0;                // in [0, 1]: the part of it that is bulk
};

struct Experiment {
  std::vector<SchedulerKind> schedulers = {SchedulerKind::kPolicy, SchedulerKind::kFcfs};
  DeviceCurve curve = PresetCurves().front();
  int max_batch_windows = 0;  // 0: the best, as the server measures it
  SimulationOptions simulation;
  Load load;
  Traffic interactive;
  Traffic bulk;
  std::vector<Arrival> trace;  // besides the generated load, by ascending time
  PolicyScheduler::Options policy;  // its largest batch is set from the above, and so is that of fcfs
  FcfsScheduler::Options fcfs;
};

struct ExperimentResult {
  Setup setup;
  std::vector<Summary> summaries;  // in the order of Experiment::schedulers
};

ExperimentResult RunExperiment(const Experiment& experiment);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_EXPERIMENT_H_
