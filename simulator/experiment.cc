#include "simulator/experiment.h"

#include <utility>

namespace culturetag::simulator {
namespace {

std::unique_ptr<Trace> MakeTrace(const Experiment& experiment, double capacity) {
  const Load& load = experiment.load;
  const double audio_rate =
      load.audio_rate.value_or(load.of_capacity * capacity * static_cast<double>(experiment.simulation.replicas));
  std::vector<std::unique_ptr<Trace>> traces;
  const auto add = [&](Traffic traffic, Priority priority, double share, uint64_t seed) {
    if (audio_rate * share <= 0) return;
    traffic.priority = priority;
    traffic.duration = experiment.simulation.duration;
    traffic.requests_per_second = audio_rate * share / absl::ToDoubleSeconds(traffic.lengths.MeanWork());
    traces.push_back(std::make_unique<GeneratedTrace>(traffic, seed));
  };
  const uint64_t seed = experiment.simulation.seed;
  add(experiment.interactive, Priority::kInteractive, 1 - load.bulk_share, 2 * seed);
  add(experiment.bulk, Priority::kBulk, load.bulk_share, 2 * seed + 1);
  traces.push_back(std::make_unique<ListTrace>(experiment.trace));
  return std::make_unique<MergedTrace>(std::move(traces));
}

std::unique_ptr<Scheduler> MakeScheduler(SchedulerKind kind, const Experiment& experiment, int max_batch_windows) {
  if (kind == SchedulerKind::kPolicy) {
    PolicyScheduler::Options options = experiment.policy;
    options.max_batch_windows = max_batch_windows;
    return std::make_unique<PolicyScheduler>(options, experiment.curve);
  }
  FcfsScheduler::Options options = experiment.fcfs;
  options.max_batch_windows = max_batch_windows;
  return std::make_unique<FcfsScheduler>(options);
}

}  // namespace

const char* NameOf(SchedulerKind kind) { return kind == SchedulerKind::kPolicy ? "culturetag" : "fcfs"; }

const char* NameOf(BalancerKind kind) {
  switch (kind) {
    case BalancerKind::kRoundRobin:
      return "round-robin";
    case BalancerKind::kLeastOutstanding:
      return "least-outstanding";
    case BalancerKind::kRandomOfTwo:
      return "random-of-two";
  }
  return "";
}

ExperimentResult RunExperiment(const Experiment& experiment) {
  ExperimentResult result;
  Setup& setup = result.setup;
  setup.curve = experiment.curve;
  setup.max_batch_windows = WarmUpOn(experiment.curve, experiment.max_batch_windows).max_batch_windows;
  setup.replicas = experiment.simulation.replicas;
  setup.balancer = NameOf(experiment.simulation.balancer);
  setup.duration = experiment.simulation.duration;
  setup.seed = experiment.simulation.seed;
  SimulationOptions options = experiment.simulation;
  options.client_weights = experiment.policy.fairness.client_weights;
  for (const SchedulerKind kind : experiment.schedulers) {
    const auto trace = MakeTrace(experiment, setup.Capacity());
    const auto make_scheduler = [&] { return MakeScheduler(kind, experiment, setup.max_batch_windows); };
    const Results results = Simulate(options, experiment.curve, make_scheduler, *trace);
    result.summaries.push_back(Summarize(NameOf(kind), setup, results));
  }
  return result;
}

}  // namespace culturetag::simulator
