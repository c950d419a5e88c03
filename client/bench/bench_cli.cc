#include "client/bench/bench_cli.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/bench/clip.h"
#include "client/bench/load_report.h"
#include "client/request_options.h"

namespace culturetag::client {
namespace {

constexpr absl::string_view kExamples = R"(Open loop (--rate or --trace): requests are sent when they are due, whatever
became of those before, and their latency counts from then. Closed loop (--concurrency): a request is sent when another was
answered. Refusals aren't retried.

Examples:
  culturetag bench --rate 20 --length 30s --goal 500ms           # Poisson arrivals
  culturetag bench --rate 20 --arrivals constant --clips 5s:8,30s:2 --clients 4
  culturetag bench --concurrency 16 melody.flac                  # throughput
  culturetag bench --rate 5 --search --goal 1s --goal-percentile 95
  culturetag bench --trace arrivals.txt --json > report.json
)";

// Throws CLI::ValidationError, the way in which CLI11 wants to hear of values that it can't check itself.
absl::Duration ParseDuration(const std::string& option, absl::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration() ||
      duration == absl::InfiniteDuration()) {
    throw CLI::ValidationError(option, absl::StrCat("`", text, "` is no duration; write 500ms, 60s or 2m"));
  }
  return duration;
}

// CLI11's own takes NaN, and prints all 309 digits of the largest double.
CLI::Validator PositiveNumber() {
  const auto check = [](const std::string& text) {
    double number = 0;
    if (absl::SimpleAtod(text, &number) && std::isfinite(number) && number > 0) return std::string();
    return absl::StrCat("`", text, "` is no number above 0");
  };
  return CLI::Validator(check, "");
}

std::pair<absl::Duration, double> ParseLength(const std::string& text) {
  const std::size_t colon = text.find(':');
  double weight = 1;
  if (colon != std::string::npos &&
      (!absl::SimpleAtod(text.substr(colon + 1), &weight) || !std::isfinite(weight) || weight <= 0)) {
    throw CLI::ValidationError("--clips", absl::StrCat("`", text, "` has no weight above 0 behind the colon"));
  }
  const absl::Duration length = ParseDuration("--clips", text.substr(0, colon));
  if (length > kLongestClip) {
    throw CLI::ValidationError("--clips", absl::StrCat("`", text, "` is longer than the ",
                                                       absl::FormatDuration(kLongestClip), " that a message holds"));
  }
  return {length, weight};
}

void AddLoadOptions(CLI::App& command, BenchOptions& options) {
  CLI::Option* const files =
      command.add_option("FILE", options.files, "Audio files to send; without them, noise of --clips")->type_name("");
  CLI::Option* const rate = command.add_option("--rate", options.rate, "Open loop: requests a second")
                                ->check(PositiveNumber());
  command
      .add_option_function<std::string>(
          "--arrivals",
          [&options](const std::string& name) {
            options.process = name == "constant" ? ArrivalProcess::kConstant : ArrivalProcess::kPoisson;
          },
          "Gaps between the requests of --rate")
      ->check(CLI::IsMember({"poisson", "constant"}).description(""))
      ->type_name("poisson|constant")
      ->default_str("poisson")
      ->needs(rate);
  CLI::Option* const concurrency =
      command.add_option("--concurrency", options.concurrency, "Closed loop: requests under way at once")
          ->check(CLI::Range(1, 100000).description(""))
          ->capture_default_str()
          ->excludes(rate);
  command
      .add_option("--trace", options.trace, "Open loop: file with lines `SECONDS_SINCE_START CLIP_SECONDS [CLIENT]`")
      ->type_name("FILE")
      ->excludes(rate)
      ->excludes(concurrency)
      ->excludes(files);
  command
      .add_option_function<std::vector<std::string>>(
          "--clips",
          [&options](const std::vector<std::string>& texts) {
            options.lengths.clear();
            for (const std::string& text : texts) options.lengths.push_back(ParseLength(text));
          },
          "Lengths of the noise, with weights: 5s:8,30s:2")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("LENGTHS")
      ->default_str("10s")
      ->excludes(files);
  command
      .add_option_function<std::string>(
          "--length", [&options](const std::string& text) { options.length = ParseDuration("--length", text); },
          "How long to send, or how long each step of --search is")
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(options.length));
  command
      .add_option("--clients", options.client_count,
                  "Clients that take turns, each with a connection and an x-client-id")
      ->check(CLI::Range(1, 10000).description(""))
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Of the arrivals and the choice of clips")->capture_default_str();
}

void AddGoalOptions(CLI::App& command, BenchOptions& options) {
  const auto set_goal = [&options](const std::string& text) { options.goal = ParseDuration("--goal", text); };
  CLI::Option* const goal =
      command
          .add_option_function<std::string>("--goal", set_goal,
                                            "The latency to keep: exit code 1 if it isn't, or any request fails")
          ->type_name("DURATION");
  command
      .add_option("--goal-percentile", options.goal_percentile, "Which percentile of the latency is to keep the goal")
      ->check(PositiveNumber())
      ->check(CLI::Range(1.0, 100.0).description(""))
      ->capture_default_str()
      ->needs(goal);
  command.add_flag("--search", options.search, "Find the highest rate that keeps the goal, from --rate on")
      ->needs(goal)
      ->needs(command.get_option("--rate"));
}

void AddRequestOptions(CLI::App& command, BenchOptions& options) {
  command.add_option("--model", options.model, "A model's name; the default is the server's")->type_name("NAME");
  AddHeadsOption(command, options.heads);
  AddPriorityOption(command, options.priority);
}

}  // namespace

CLI::App* AddBenchCommand(CLI::App& app, BenchOptions& options) {
  CLI::App* const command = app.add_subcommand("bench", "Load a server and measure what callers would feel");
  AddLoadOptions(*command, options);
  AddGoalOptions(*command, options);
  AddRequestOptions(*command, options);
  command->add_flag("--json", options.json, "Print JSON, described below");
  command->add_option("--html", options.html_file, "Also write a page with the latency by percentile, drawn")
      ->type_name("FILE");
  command->footer(absl::StrCat(kExamples, "\nJSON:\n", kLoadJsonShape, "\n"));
  return command;
}

}  // namespace culturetag::client
