#include "simulator/cli.h"

#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "simulator/experiment.h"

namespace culturetag::simulator {
namespace {

constexpr int kUsageError = 2;
constexpr int kFailure = 1;

constexpr absl::string_view kDescription =
    R"(Simulates replicas of culturetag-server: the server's own queue under a simulated clock, beside a queue that
serves first come, first served with a fixed delay. Prints what was scored and answered in time, latencies,
refusals and fairness.)";

constexpr absl::string_view kExamples = R"(
Examples:
  One replica on the 2 cores of a small machine, at 80 % of its capacity:
    culturetag-simulate
  Three times what it can do, by callers who wait at most 10 s:
    culturetag-simulate --load 3 --deadline 10s
  The same clips beside heavy-tailed bulk work that makes up a third of the load:
    culturetag-simulate --load 0.95 --bulk-load-share 0.33
  How many GPUs for 50,000 s of audio a second? Look for the smallest fleet whose latencies will do:
    culturetag-simulate --device gpu-assumed --audio-rate 50000 --replicas 4 --duration 1m --schedulers culturetag
  Your own device and your own requests:
    culturetag-simulate --device measured.json --load 0 --trace requests.csv --json

A device file:
  {"source": "where the figures come from", "fixed_ms": 3, "window_ms": {"1": 80, "4": 71}}
  fixed_ms is what a pass takes however small it is, window_ms what each full window of a pass of that size adds.

A trace file: `patience` may be left out, and a deadline or a patience may be empty.
  time,client,priority,seconds,deadline,patience
  0,archive,bulk,10800,,
  0.5,anna,interactive,12.5,2,
)";

constexpr absl::string_view kExitCodes =
    "Exit codes: 0 if it worked, 1 if a file can't be used, 2 for a wrong command line.\n";

// What the command line says beyond an Experiment.
struct Options {
  Experiment experiment;
  std::string device = PresetCurves().front().name;
  std::string trace_file;
  bool json = false;
};

CLI::Option* AddDuration(CLI::App& app, const std::string& name, absl::Duration& value, const std::string& help,
                         absl::Duration least = absl::ZeroDuration()) {
  const auto parse = [name, least, &value](const std::string& text) {
    if (!absl::ParseDuration(text, &value) || value < least) {
      throw CLI::ValidationError(name, absl::StrCat("`", text, "` is no duration of at least ", absl::FormatDuration(least),
                                                    "; write 250ms, 60s or 10m"));
    }
  };
  return app.add_option_function<std::string>(name, parse, help)
      ->type_name("DURATION")
      ->default_str(value == absl::InfiniteDuration() ? "none" : absl::FormatDuration(value));
}

template <typename Number>
CLI::Option* AddNumber(CLI::App& app, const std::string& name, Number& value, Number least, Number most,
                       const std::string& help) {
  return app.add_option(name, value, help)->check(CLI::Range(least, most).description(""))->capture_default_str();
}

CLI::Option* AddLengths(CLI::App& app, const std::string& name, Lengths& lengths, const std::string& preset,
                        const std::string& help) {
  lengths = *ParseLengths(preset);
  const auto parse = [name, &lengths](const std::string& text) {
    absl::StatusOr<Lengths> parsed = ParseLengths(text);
    if (!parsed.ok()) throw CLI::ValidationError(name, std::string(parsed.status().message()));
    lengths = *parsed;
  };
  return app.add_option_function<std::string>(name, parse, help)->type_name("LENGTHS")->default_str(preset);
}

// An option that takes one or, with `separated`, several of the names of `values`.
template <typename Value>
CLI::Option* AddChoice(CLI::App& app, const std::string& name, Value& value, const std::vector<Value>& values,
                       const std::string& help) {
  std::vector<std::string> names;
  for (const Value one : values) names.push_back(NameOf(one));
  const auto choose = [&value, values](const std::string& text) {
    for (const Value one : values) {
      if (text == NameOf(one)) value = one;
    }
  };
  return app.add_option_function<std::string>(name, choose, help)
      ->check(CLI::IsMember(names).description(""))
      ->type_name(absl::StrJoin(names, "|"))
      ->default_str(NameOf(value));
}

void AddDeviceOptions(CLI::App& app, Options& options) {
  Experiment& experiment = options.experiment;
  const auto name = [](std::string* out, const DeviceCurve& curve) { absl::StrAppend(out, curve.name); };
  app.add_option("--device", options.device,
                 absl::StrCat("What a pass takes: ", absl::StrJoin(PresetCurves(), ", ", name), " or a file, described below"))
      ->type_name("NAME|FILE")
      ->capture_default_str()
      ->group("Devices");
  AddNumber(app, "--max-batch-windows", experiment.max_batch_windows, 0, 4096,
            "The largest batch; 0 is the best, as the server's warm-up measures it")
      ->group("Devices");
  AddNumber(app, "--jitter", experiment.simulation.jitter, 0.0, 10.0, "How much passes vary: the coefficient of variation")
      ->group("Devices");
  AddNumber(app, "--replicas", experiment.simulation.replicas, 1, 100'000, "How many devices, each with its queue")
      ->group("Devices");
  AddChoice(app, "--balancer", experiment.simulation.balancer,
            {BalancerKind::kRoundRobin, BalancerKind::kLeastOutstanding, BalancerKind::kRandomOfTwo},
            "Who chooses a request's replica; one that was refused isn't tried elsewhere")
      ->group("Devices");
}

void AddLoadOptions(CLI::App& app, Experiment& experiment) {
  Load& load = experiment.load;
  SimulationOptions& simulation = experiment.simulation;
  CLI::Option* const of_capacity = AddNumber(app, "--load", load.of_capacity, 0.0, 1000.0,
                                             "The work that arrives, as a share of what all replicas can do at best");
  of_capacity->group("Load");
  app.add_option_function<double>("--audio-rate", [&load](double rate) { load.audio_rate = rate; },
                                  "The work that arrives, in seconds of audio a second, instead of --load")
      ->check(CLI::NonNegativeNumber.description(""))
      ->excludes(of_capacity)
      ->group("Load");
  AddDuration(app, "--duration", simulation.duration, "How long requests arrive", absl::Seconds(1))->group("Load");
  AddNumber(app, "--seed", simulation.seed, uint64_t{0}, uint64_t{1} << 32, "The same seed gives the same arrivals and results")
      ->group("Load");
  // Both classes come in the same bursts.
  Bursts& bursts = experiment.interactive.bursts;
  AddNumber(app, "--burst-factor", bursts.factor, 1.0, 1000.0, "The rate during bursts, in mean rates; 1 for no bursts")
      ->group("Load");
  AddNumber(app, "--burst-share", bursts.share, 0.001, 0.999, "How much of the time is bursts")->group("Load");
  AddDuration(app, "--burst-period", bursts.period, "From one burst to the next", absl::Milliseconds(1))->group("Load");
}

void AddTrafficOptions(CLI::App& app, Options& options) {
  Experiment& experiment = options.experiment;
  Traffic& clips = experiment.interactive;
  Traffic& bulk = experiment.bulk;
  clips.client_prefix = "client-";
  bulk.client_prefix = "bulk-";
  const std::string group = "Requests";
  AddLengths(app, "--lengths", clips.lengths, "uniform:1s:30s", "Of interactive audio: 5s, uniform:1s:30s or pareto:1s:3h:1.1")
      ->group(group);
  clips.clients = 20;
  AddNumber(app, "--clients", clips.clients, 1, 1'000'000, "Interactive clients")->group(group);
  AddNumber(app, "--client-skew", clips.client_skew, 0.0, 10.0, "Client k asks in proportion to k^-SKEW; 0: all alike")
      ->group(group);
  AddDuration(app, "--deadline", clips.deadline, "Of interactive requests")->group(group);
  AddNumber(app, "--impatient-share", clips.impatient_share, 0.0, 1.0, "Of interactive requests, that are cancelled")
      ->group(group);
  clips.patience = absl::Seconds(2);
  AddDuration(app, "--patience", clips.patience, "After which those are cancelled, if they aren't done")->group(group);
  AddNumber(app, "--bulk-load-share", experiment.load.bulk_share, 0.0, 1.0, "Of the load, that is bulk work")->group(group);
  AddLengths(app, "--bulk-lengths", bulk.lengths, "pareto:60s:3h:1.1", "Of bulk audio")->group(group);
  bulk.clients = 4;
  AddNumber(app, "--bulk-clients", bulk.clients, 1, 1'000'000, "Bulk clients")->group(group);
  AddDuration(app, "--bulk-deadline", bulk.deadline, "Of bulk requests")->group(group);
  app.add_option("--trace", options.trace_file, "A file of requests besides those, described below")
      ->type_name("FILE")
      ->group(group);
}

// "anna=2,archive=0.5"
std::map<std::string, double> ParseWeights(const std::vector<std::string>& texts) {
  std::map<std::string, double> weights;
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    double weight = 0;
    if (equals == std::string::npos || !absl::SimpleAtod(text.substr(equals + 1), &weight) || !(weight > 0)) {
      throw CLI::ValidationError("--client-weights", absl::StrCat("`", text, "` isn't NAME=WEIGHT with a weight above 0"));
    }
    weights[text.substr(0, equals)] = weight;
  }
  return weights;
}

void AddQueueOptions(CLI::App& app, Experiment& experiment) {
  const std::string group = "Queues";
  const auto choose = [&experiment](const std::vector<std::string>& names) {
    experiment.schedulers.clear();
    for (const std::string& name : names) {
      experiment.schedulers.push_back(name == NameOf(SchedulerKind::kFcfs) ? SchedulerKind::kFcfs : SchedulerKind::kPolicy);
    }
  };
  app.add_option_function<std::vector<std::string>>("--schedulers", choose, "Which to run")
      ->delimiter(',')
      ->check(CLI::IsMember({"culturetag", "fcfs"}).description(""))
      ->type_name("culturetag,fcfs")
      ->default_str("culturetag,fcfs")
      ->group(group);
  AddDuration(app, "--max-queued-audio", experiment.policy.max_queued_audio, "The most audio that may wait, in either queue")
      ->group(group);
  AddDuration(app, "--max-queue-delay", experiment.policy.max_queue_delay, "The server's flag of that name")->group(group);
  FairQueue::Options& fairness = experiment.policy.fairness;
  AddNumber(app, "--bulk-share", fairness.bulk_share, 0.001, 0.999, "The server's flag of that name")->group(group);
  app.add_option_function<std::vector<std::string>>(
         "--client-weights",
         [&fairness](const std::vector<std::string>& texts) { fairness.client_weights = ParseWeights(texts); },
         "The server's flag of that name; generated clients are client-0, client-1, ... and bulk-0, ...")
      ->delimiter(',')
      ->type_name("NAME=WEIGHT,...")
      ->group(group);
  experiment.fcfs.max_queue_delay = absl::Milliseconds(100);
  AddDuration(app, "--fcfs-delay", experiment.fcfs.max_queue_delay, "How long fcfs waits for a fuller batch")->group(group);
  AddNumber(app, "--fcfs-preferred-batch", experiment.fcfs.preferred_batch_windows, 0, 4096,
            "The batch for which fcfs doesn't wait; 0 is the largest")
      ->group(group);
}

// A line that is written over and over, at most five times a second.
std::function<void(absl::Duration, int64_t)> ProgressLine(std::ostream& err, absl::Duration duration) {
  return [&err, duration, next = absl::Now()](absl::Duration simulated, int64_t windows) mutable {
    if (absl::Now() < next) return;
    next = absl::Now() + absl::Milliseconds(200);
    err << absl::StrFormat("\r%3.0f %% of %s simulated, %d windows\x1b[K", 100 * absl::FDivDuration(simulated, duration),
                           absl::FormatDuration(duration), windows)
        << std::flush;
  };
}

// Reads the files that `options` names.
absl::Status ReadFiles(Options& options) {
  absl::StatusOr<DeviceCurve> curve = FindCurve(options.device);
  if (!curve.ok()) return absl::Status(curve.status().code(), absl::StrCat("--device: ", curve.status().message()));
  options.experiment.curve = *std::move(curve);
  if (options.trace_file.empty()) return absl::OkStatus();
  std::ifstream file(options.trace_file);
  if (!file) return absl::NotFoundError(absl::StrCat("--trace: `", options.trace_file, "` can't be read"));
  absl::StatusOr<std::vector<Arrival>> trace = ReadTrace(file);
  if (!trace.ok()) {
    return absl::Status(trace.status().code(),
                        absl::StrCat("--trace: `", options.trace_file, "`: ", trace.status().message()));
  }
  options.experiment.trace = *std::move(trace);
  return absl::OkStatus();
}

}  // namespace

int RunCli(int argc, const char* const* argv, const Console& console) {
  CLI::App app{std::string(kDescription), "culturetag-simulate"};
  app.set_version_flag("--version", "culturetag-simulate " CULTURETAG_VERSION);
  app.footer(absl::StrCat(kExamples, "\nJSON:\n", kReportJsonShape, "\n\n", kExitCodes));
  Options options;
  Experiment& experiment = options.experiment;
  AddDeviceOptions(app, options);
  AddLoadOptions(app, experiment);
  AddTrafficOptions(app, options);
  AddQueueOptions(app, experiment);
  app.add_flag("--json", options.json, "Print JSON, described below");
  try {
    app.parse(argc, argv);
    if (experiment.interactive.bursts.factor * experiment.interactive.bursts.share > 1) {
      throw CLI::ValidationError("--burst-factor", "times --burst-share is above 1: nothing would be left between bursts");
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error, console.out, console.err) == 0 ? 0 : kUsageError;
  }
  if (const absl::Status status = ReadFiles(options); !status.ok()) {
    console.err << "culturetag-simulate: " << status.message() << "\n";
    return kFailure;
  }
  experiment.bulk.bursts = experiment.interactive.bursts;
  experiment.fcfs.max_queued_audio = experiment.policy.max_queued_audio;
  if (console.shows_progress) {
    experiment.simulation.on_progress = ProgressLine(console.err, experiment.simulation.duration);
  }
  const ExperimentResult result = RunExperiment(experiment);
  if (console.shows_progress) console.err << "\r\x1b[K";
  console.out << (options.json ? ReportJson(result.setup, result.summaries) + "\n"
                               : ReportText(result.setup, result.summaries));
  console.out.flush();
  if (console.out.good()) return 0;
  console.err << "culturetag-simulate: the output can't be written\n";
  return kFailure;
}

}  // namespace culturetag::simulator
