// Replicas behind a balancer under simulated time, event by event, from the first arrival until the last request has ended.
//
// Not thread-safe. The same trace, options and seed give the same results, to the last bit.
#ifndef CULTURETAG_SIMULATOR_SIMULATION_H_
#define CULTURETAG_SIMULATOR_SIMULATION_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "simulator/balancer.h"
#include "simulator/device_curve.h"
#include "simulator/fairness_meter.h"
#include "simulator/scheduler.h"
#include "simulator/trace.h"

namespace culturetag::simulator {

struct SimulationOptions {
  int replicas = 1;
  BalancerKind balancer = BalancerKind::kLeastOutstanding;
  // A pass takes the curve's time, multiplied by a log-normal number of mean 1 and this coefficient of variation; 0: none.
  double jitter = 0;
  // Throughput, goodput, busy time and fairness are measured from the epoch until then; requests that end later count, too.
  absl::Duration duration = absl::Minutes(10);
  absl::Duration fairness_slice = absl::Seconds(30);
  std::map<std::string, double> client_weights;  // as FairQueue::Options; for the fairness index
  uint64_t seed = 1;
  // Called now and then with the simulated time so far and the windows scored.
  std::function<void(absl::Duration, int64_t)> on_progress = [](absl::Duration, int64_t) {};
};

struct Results {
  struct Class {
    std::array<int64_t, kOutcomeCount> requests{};  // by outcome
    std::vector<double> latencies;                  // seconds from arrival to answer, of those served
  };

  std::array<Class, kPriorityCount> classes;
  std::array<MeanFairness, kPriorityCount> fairness;
  int64_t windows_run = 0;
  // Those of `windows_run` whose caller had gone before the pass ended, and those scored for a caller who went later.
  int64_t windows_unwanted = 0;
  int64_t windows_unanswered = 0;
  int64_t batches = 0;
  // Within SimulationOptions::duration, over all replicas:
  absl::Duration audio_scored;
  absl::Duration audio_answered;  // the part of it whose requests were, in the end, answered in time
  absl::Duration device_busy;
};

// `make_scheduler` is called once for each replica.
Results Simulate(const SimulationOptions& options, const DeviceCurve& curve,
                 const std::function<std::unique_ptr<Scheduler>()>& make_scheduler, Trace& trace);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_SIMULATION_H_
