#include "simulator/report.h"

#include <algorithm>
#include <cmath>

namespace culturetag::simulator {
namespace {

absl::optional<Summary::Latency> LatencyOf(std::vector<double> seconds) {
  if (seconds.empty()) return absl::nullopt;
  std::sort(seconds.begin(), seconds.end());
  Summary::Latency latency;
  for (const double value : seconds) latency.mean += value;
  latency.mean /= static_cast<double>(seconds.size());
  latency.p50 = Percentile(seconds, 0.5);
  latency.p90 = Percentile(seconds, 0.9);
  latency.p99 = Percentile(seconds, 0.99);
  latency.p999 = Percentile(seconds, 0.999);
  latency.max = seconds.back();
  return latency;
}

}  // namespace

double Percentile(absl::Span<const double> ascending, double quantile) {
  const auto rank = static_cast<size_t>(std::ceil(quantile * static_cast<double>(ascending.size())));
  return ascending[std::max<size_t>(rank, 1) - 1];
}

double Setup::Capacity() const {
  return absl::FDivDuration(kWindow * max_batch_windows, curve.Pass(max_batch_windows, kWindowSamples));
}

Summary Summarize(const std::string& scheduler, const Setup& setup, const Results& results) {
  Summary summary;
  summary.scheduler = scheduler;
  for (size_t i = 0; i < kPriorityCount; ++i) {
    summary.classes[i].requests = results.classes[i].requests;
    summary.classes[i].latency = LatencyOf(results.classes[i].latencies);
    summary.classes[i].fairness = results.fairness[i].mean();
  }
  const double capacity = setup.Capacity() * setup.replicas;
  summary.throughput = absl::FDivDuration(results.audio_scored, setup.duration);
  summary.goodput = absl::FDivDuration(results.audio_answered, setup.duration);
  summary.throughput_share = summary.throughput / capacity;
  summary.goodput_share = summary.goodput / capacity;
  summary.device_busy_share = absl::FDivDuration(results.device_busy, setup.duration * setup.replicas);
  summary.windows_run = results.windows_run;
  summary.windows_unwanted = results.windows_unwanted;
  summary.windows_unanswered = results.windows_unanswered;
  if (results.batches > 0) {
    summary.windows_per_batch = static_cast<double>(results.windows_run) / static_cast<double>(results.batches);
  }
  return summary;
}

}  // namespace culturetag::simulator
