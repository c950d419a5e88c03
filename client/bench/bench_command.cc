#include "client/bench/bench_command.h"

#include <algorithm>
#include <map>
#include <memory>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/audio_file.h"
#include "client/bench/clip.h"
#include "client/bench/load_html.h"
#include "client/bench/load_report.h"
#include "client/bench/load_run.h"
#include "client/bench/rate_search.h"
#include "client/render_text.h"
#include "client/whole_file.h"

namespace culturetag::client {
namespace {

constexpr int kExitInterrupted = 130;
// A closed loop takes its clips from a list of this length, again and again.
constexpr std::size_t kClosedLoopClips = 1000;

// The input of a run, and which clip comes how often or, from a trace, when.
struct Load {
  LoadInput input;
  std::vector<double> clip_weights;
  std::vector<Arrival> trace;
};

absl::optional<Failure> AddClient(const std::string& name, const ConnectionOptions& connection, LoadInput& input) {
  ConnectionOptions options = connection;
  options.client.client_id = name;
  Outcome<std::unique_ptr<TaggingClient>> client = Connect(options, Retries::kNone);
  if (auto* const failure = std::get_if<Failure>(&client)) return std::move(*failure);
  input.clients.push_back({name, std::get<std::unique_ptr<TaggingClient>>(std::move(client))});
  return absl::nullopt;
}

absl::optional<Failure> AddClients(const BenchOptions& options, const ConnectionOptions& connection, LoadInput& input) {
  const std::string prefix = connection.client.client_id.empty() ? "bench" : connection.client.client_id;
  for (int i = 1; i <= options.client_count; ++i) {
    if (auto failure = AddClient(absl::StrCat(prefix, "-", i), connection, input)) return failure;
  }
  return absl::nullopt;
}

absl::optional<Failure> AddClips(const BenchOptions& options, const Console& console, Load& load) {
  for (const std::string& file : options.files) {
    Outcome<std::string> bytes = ReadAudioFile(file, console.in);
    if (auto* const failure = std::get_if<Failure>(&bytes)) {
      failure->message = absl::StrCat(file, ": ", failure->message);
      return std::move(*failure);
    }
    Clip& clip = load.input.clips.emplace_back();
    clip.name = file;
    clip.audio.set_encoded(std::get<std::string>(std::move(bytes)));
    load.clip_weights.push_back(1);
  }
  if (!options.files.empty()) return absl::nullopt;
  for (const auto& [length, weight] : options.lengths) {
    load.input.clips.push_back(SyntheticClip(length));
    load.clip_weights.push_back(weight);
  }
  return absl::nullopt;
}

absl::optional<Failure> AddTrace(const BenchOptions& options, const ConnectionOptions& connection,
                                 const Console& console, Load& load) {
  const Outcome<std::string> text = ReadAudioFile(options.trace, console.in);
  if (const auto* const failure = std::get_if<Failure>(&text)) return *failure;
  const Outcome<std::vector<TraceEntry>> trace = ParseTrace(std::get<std::string>(text));
  if (const auto* const failure = std::get_if<Failure>(&trace)) return *failure;
  std::map<absl::Duration, std::size_t> clips;
  std::map<std::string, std::size_t> clients;
  for (const TraceEntry& entry : std::get<std::vector<TraceEntry>>(trace)) {
    const auto [clip, new_clip] = clips.emplace(entry.clip_length, clips.size());
    if (new_clip) load.input.clips.push_back(SyntheticClip(entry.clip_length));
    const auto [client, new_client] = clients.emplace(entry.client.empty() ? "bench" : entry.client, clients.size());
    if (new_client) {
      if (auto failure = AddClient(client->first, connection, load.input)) return failure;
    }
    load.trace.push_back({entry.due, clip->second, client->second});
  }
  return absl::nullopt;
}

Outcome<Load> MakeLoad(const BenchOptions& options, const ConnectionOptions& connection, const Console& console) {
  Load load;
  v1::TagRequest& request = load.input.request;
  request.set_model(options.model);
  request.mutable_heads()->Add(options.heads.begin(), options.heads.end());
  request.set_top_k(options.top_k);
  request.set_priority(options.priority);
  load.input.goal = options.goal;
  absl::optional<Failure> failure;
  if (options.trace.empty()) {
    failure = AddClients(options, connection, load.input);
    if (!failure.has_value()) failure = AddClips(options, console, load);
  } else {
    failure = AddTrace(options, connection, console, load);
  }
  if (failure.has_value()) return *std::move(failure);
  return load;
}

LoadStep RunStep(const BenchOptions& options, const Load& load, double rate, Interrupts& interrupts) {
  if (!load.trace.empty()) {
    const absl::Duration length = std::max(load.trace.back().due, absl::Seconds(1));
    return {static_cast<double>(load.trace.size()) / absl::ToDoubleSeconds(length),
            RunOpenLoop(load.input, load.trace, interrupts)};
  }
  if (rate == 0) {
    const auto clips = PickClips(load.clip_weights, kClosedLoopClips, options.seed);
    return {0, RunClosedLoop(load.input, clips, options.concurrency, options.length, interrupts)};
  }
  ScheduleOptions schedule;
  schedule.process = options.process;
  schedule.rate = rate;
  schedule.length = options.length;
  schedule.clip_weights = load.clip_weights;
  schedule.client_count = load.input.clients.size();
  schedule.seed = options.seed;
  return {rate, RunOpenLoop(load.input, MakeSchedule(schedule), interrupts)};
}

}  // namespace

int RunBench(const BenchOptions& options, const ConnectionOptions& connection, const Console& console) {
  const Outcome<Load> made = MakeLoad(options, connection, console);
  if (const auto* const failure = std::get_if<Failure>(&made)) {
    console.err << FailureText(options.trace.empty() ? "bench" : options.trace, *failure);
    return 1;
  }
  const auto& load = std::get<Load>(made);
  const Goal goal = {options.goal, options.goal_percentile};
  std::vector<LoadStep> steps;
  double highest_rate = -1;
  if (options.search) {
    highest_rate = FindHighestRate(options.rate, [&](double rate) {
      if (console.interrupts.raised()) return false;
      steps.push_back(RunStep(options, load, rate, console.interrupts));
      if (!options.json) console.out << StepText(steps.back(), goal) << std::flush;
      return KeepsGoal(steps.back().result, goal);
    });
    if (!options.json) console.out << absl::StrCat("highest rate that keeps the goal: ", highest_rate, "/s\n");
  } else {
    steps.push_back(RunStep(options, load, options.rate, console.interrupts));
    if (!options.json) console.out << LoadText(steps.back(), goal);
  }
  if (options.json) console.out << LoadJson(steps, goal, highest_rate) << "\n";
  if (!options.html_file.empty()) {
    if (const auto failure = WriteWholeFile(options.html_file, LoadHtml(steps, goal))) {
      console.err << FailureText("bench", *failure);
      return 1;
    }
  }
  if (console.interrupts.raised()) return kExitInterrupted;
  return options.search ? (highest_rate > 0 ? 0 : 1) : (KeepsGoal(steps.back().result, goal) ? 0 : 1);
}

}  // namespace culturetag::client
