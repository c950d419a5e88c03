#include <utility>

#include <nlohmann/json.hpp>

#include "simulator/report.h"

namespace culturetag::simulator {
namespace {

// Members keep the order in which they are written here.
using Json = nlohmann::ordered_json;

Json LatencyJson(const absl::optional<Summary::Latency>& latency) {
  if (!latency.has_value()) return nullptr;
  return {{"mean", latency->mean}, {"p50", latency->p50},   {"p90", latency->p90},
          {"p99", latency->p99},   {"p999", latency->p999}, {"max", latency->max}};
}

Json ClassJson(const Summary::Class& one) {
  const auto count = [&one](Outcome outcome) { return one.requests[static_cast<size_t>(outcome)]; };
  Json json;
  json["requests"] = {{"served", count(Outcome::kServed)},
                      {"refused_queue_full", count(Outcome::kQueueFull)},
                      {"refused_deadline", count(Outcome::kDeadline)},
                      {"expired", count(Outcome::kExpired)},
                      {"cancelled", count(Outcome::kCancelled)}};
  json["latency_seconds"] = LatencyJson(one.latency);
  json["fairness"] = one.fairness.has_value() ? Json(*one.fairness) : Json(nullptr);
  return json;
}

Json SummaryJson(const Summary& summary) {
  return {{"scheduler", summary.scheduler},
          {"throughput", summary.throughput},
          {"goodput", summary.goodput},
          {"throughput_share", summary.throughput_share},
          {"goodput_share", summary.goodput_share},
          {"device_busy_share", summary.device_busy_share},
          {"windows_per_batch", summary.windows_per_batch},
          {"windows_run", summary.windows_run},
          {"windows_unwanted", summary.windows_unwanted},
          {"windows_unanswered", summary.windows_unanswered},
          {"interactive", ClassJson(summary.classes[static_cast<size_t>(Priority::kInteractive)])},
          {"bulk", ClassJson(summary.classes[static_cast<size_t>(Priority::kBulk)])}};
}

}  // namespace

const char kReportJsonShape[] =
    R"(  {"device", "source", "replicas", "balancer", "max_batch_windows", "capacity", "duration_seconds", "seed",
   "results": [{"scheduler", "throughput", "goodput", "throughput_share", "goodput_share", "device_busy_share",
                "windows_per_batch", "windows_run", "windows_unwanted", "windows_unanswered",
                "interactive": {"requests": {"served", "refused_queue_full", "refused_deadline", "expired", "cancelled"},
                                "latency_seconds": {"mean", "p50", "p90", "p99", "p999", "max"} or null,
                                "fairness": Jain's index or null},
                "bulk": the same}]}
  Throughput, goodput and the capacity of one replica are in seconds of audio a second. Unwanted windows were run for
  callers who had gone, unanswered ones for requests that then failed.)";

std::string ReportJson(const Setup& setup, absl::Span<const Summary> summaries) {
  Json results = Json::array();
  for (const Summary& summary : summaries) results.push_back(SummaryJson(summary));
  const Json json = {{"device", setup.curve.name},
                     {"source", setup.curve.source},
                     {"replicas", setup.replicas},
                     {"balancer", setup.balancer},
                     {"max_batch_windows", setup.max_batch_windows},
                     {"capacity", setup.Capacity()},
                     {"duration_seconds", absl::ToDoubleSeconds(setup.duration)},
                     {"seed", setup.seed},
                     {"results", std::move(results)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace culturetag::simulator
