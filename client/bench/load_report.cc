#include "client/bench/load_report.h"

#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/text_layout.h"

namespace culturetag::client {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kPercentiles[] = {50, 90, 95, 99, 99.9};

double PerSecond(double count, absl::Duration elapsed) {
  return elapsed > absl::ZeroDuration() ? count / absl::ToDoubleSeconds(elapsed) : 0;
}

std::string Seconds(absl::Duration duration) { return absl::StrFormat("%.3f", absl::ToDoubleSeconds(duration)); }

// The measured times with their names, in the order in which they pass.
std::vector<std::pair<const char*, const LatencyHistogram*>> Stages(const LoadResult& result) {
  return {{"latency", &result.latency},     {"sending_delay", &result.sending_delay},
          {"decode", &result.decode},       {"queue", &result.queue},
          {"inference", &result.inference}, {"server_total", &result.server_total},
          {"refusal", &result.refusal}};
}

std::vector<std::string> TableRow(const std::string& name, const LatencyHistogram& histogram) {
  std::vector<std::string> cells = {name, absl::StrCat(histogram.count()), Seconds(histogram.mean())};
  for (const double percentile : kPercentiles) cells.push_back(Seconds(histogram.Percentile(percentile)));
  cells.push_back(Seconds(histogram.max()));
  return cells;
}

std::string LatencyTable(const LoadResult& result) {
  std::vector<TextTable::Column> columns(4 + std::size(kPercentiles), {true, {}});
  columns[0].right_aligned = false;
  TextTable table(std::move(columns));
  std::vector<std::string> titles = {"seconds", "count", "mean"};
  for (const double percentile : kPercentiles) titles.push_back(absl::StrCat("p", percentile));
  titles.push_back("max");
  table.AddRow(std::move(titles));
  for (const auto& [name, histogram] : Stages(result)) table.AddRow(TableRow(name, *histogram));
  if (result.latency_by_client.size() > 1) {
    for (const auto& [name, histogram] : result.latency_by_client) {
      table.AddRow(TableRow(Printable(name), histogram));
    }
  }
  return table.Render(2);
}

Json HistogramJson(const LatencyHistogram& histogram) {
  Json percentiles = Json::object();
  for (const double percentile : kPercentiles) {
    percentiles[absl::StrCat(percentile)] = absl::ToDoubleSeconds(histogram.Percentile(percentile));
  }
  return {{"count", histogram.count()},
          {"mean", absl::ToDoubleSeconds(histogram.mean())},
          {"max", absl::ToDoubleSeconds(histogram.max())},
          {"percentiles", std::move(percentiles)}};
}

Json StepJson(const LoadStep& step, const Goal& goal) {
  const LoadResult& result = step.result;
  Json stages = Json::object();
  for (const auto& [name, histogram] : Stages(result)) stages[name] = HistogramJson(*histogram);
  Json clients = Json::object();
  for (const auto& [name, histogram] : result.latency_by_client) clients[name] = HistogramJson(histogram);
  return {{"offered_rate", step.offered_rate},
          {"elapsed_seconds", absl::ToDoubleSeconds(result.elapsed)},
          {"sent", result.sent},
          {"answered", result.answered},
          {"failures", result.failures},
          {"answered_per_second", PerSecond(static_cast<double>(result.answered), result.elapsed)},
          {"goodput_per_second", PerSecond(static_cast<double>(result.within_goal), result.elapsed)},
          {"audio_seconds_per_second", PerSecond(absl::ToDoubleSeconds(result.audio), result.elapsed)},
          {"keeps_goal", KeepsGoal(result, goal)},
          {"seconds", std::move(stages)},
          {"latency_seconds_by_client", std::move(clients)}};
}

}  // namespace

const char kLoadJsonShape[] = R"({"goal_seconds", "goal_percentile", "highest_rate",
 "steps": [{"offered_rate", "elapsed_seconds", "sent", "answered", "failures": {CODE: count},
            "answered_per_second", "goodput_per_second", "audio_seconds_per_second", "keeps_goal",
            "seconds": {"latency", "sending_delay", "decode", "queue", "inference", "server_total", "refusal": each
                        {"count", "mean", "max", "percentiles": {"50", "90", "95", "99", "99.9"}}},
            "latency_seconds_by_client": {NAME: as above}}]}
"refusal": of requests that ended with RESOURCE_EXHAUSTED, from when they were sent; the others count answers.
"goal_seconds" is null without a goal, "highest_rate" without --search; "offered_rate" is 0 in a closed loop.)";

bool KeepsGoal(const LoadResult& result, const Goal& goal) {
  return result.answered > 0 && result.answered == result.sent &&
         result.latency.Percentile(goal.percentile) <= goal.latency;
}

std::string LoadText(const LoadStep& step, const Goal& goal) {
  const LoadResult& result = step.result;
  std::string text = absl::StrFormat(
      "%d sent, %d answered in %.1f s: %.2f/s, %.1f s of audio a second\n", result.sent, result.answered,
      absl::ToDoubleSeconds(result.elapsed), PerSecond(static_cast<double>(result.answered), result.elapsed),
      PerSecond(absl::ToDoubleSeconds(result.audio), result.elapsed));
  if (step.offered_rate > 0) absl::StrAppendFormat(&text, "%.2f/s were offered\n", step.offered_rate);
  for (const auto& [code, count] : result.failures) {
    absl::StrAppend(&text, count, " ended with ", code, ", the first: ", Printable(result.reasons.at(code)), "\n");
  }
  if (goal.latency != absl::InfiniteDuration()) {
    absl::StrAppendFormat(&text, "goodput %.2f/s; goal p%g <= %.3f s: %s\n",
                          PerSecond(static_cast<double>(result.within_goal), result.elapsed), goal.percentile,
                          absl::ToDoubleSeconds(goal.latency), KeepsGoal(result, goal) ? "kept" : "missed");
  }
  return absl::StrCat(text, "\n", LatencyTable(result));
}

std::string StepText(const LoadStep& step, const Goal& goal) {
  return absl::StrFormat("%10.2f/s  p%g %8.3f s  %d of %d answered  %s\n", step.offered_rate, goal.percentile,
                         absl::ToDoubleSeconds(step.result.latency.Percentile(goal.percentile)), step.result.answered,
                         step.result.sent, KeepsGoal(step.result, goal) ? "kept" : "missed");
}

std::string LoadJson(const std::vector<LoadStep>& steps, const Goal& goal, double highest_rate) {
  Json array = Json::array();
  for (const LoadStep& step : steps) array.push_back(StepJson(step, goal));
  const bool has_goal = goal.latency != absl::InfiniteDuration();
  const Json report = {{"goal_seconds", has_goal ? Json(absl::ToDoubleSeconds(goal.latency)) : Json()},
                       {"goal_percentile", goal.percentile},
                       {"highest_rate", highest_rate < 0 ? Json() : Json(highest_rate)},
                       {"steps", std::move(array)}};
  return report.dump();
}

}  // namespace culturetag::client
