#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "simulator/report.h"

namespace culturetag::simulator {
namespace {

constexpr int kLabelWidth = 40;
constexpr int kColumnWidth = 16;

using Cell = std::function<std::string(const Summary&)>;

void AddRow(std::string& text, const std::string& label, absl::Span<const Summary> summaries, const Cell& cell) {
  absl::StrAppendFormat(&text, "%-*s", kLabelWidth, label);
  for (const Summary& summary : summaries) absl::StrAppendFormat(&text, "%*s", kColumnWidth, cell(summary));
  absl::StrAppend(&text, "\n");
}

std::string Percent(double share) { return absl::StrFormat("%.1f %%", 100 * share); }

std::string SecondsText(double seconds) {
  return seconds < 10 ? absl::StrFormat("%.0f ms", 1000 * seconds) : absl::StrFormat("%.1f s", seconds);
}

void AddOutcomes(std::string& text, absl::Span<const Summary> summaries, size_t priority) {
  constexpr std::array<const char*, kOutcomeCount> kLabels = {
      "", "  served", "  refused: the queue is full", "  refused: the deadline can't be met", "  deadline passed", "  cancelled"};
  for (size_t outcome = static_cast<size_t>(Outcome::kServed); outcome < kOutcomeCount; ++outcome) {
    const auto count = [=](const Summary& summary) { return summary.classes[priority].requests[outcome]; };
    if (std::all_of(summaries.begin(), summaries.end(), [&](const Summary& summary) { return count(summary) == 0; })) continue;
    AddRow(text, kLabels[outcome], summaries, [&](const Summary& summary) { return absl::StrCat(count(summary)); });
  }
}

void AddClass(std::string& text, absl::Span<const Summary> summaries, size_t priority) {
  AddOutcomes(text, summaries, priority);
  const auto latency = [&](const char* label, double Summary::Latency::*field) {
    AddRow(text, label, summaries, [=](const Summary& summary) {
      const auto& values = summary.classes[priority].latency;
      return values.has_value() ? SecondsText((*values).*field) : "-";
    });
  };
  latency("  latency p50", &Summary::Latency::p50);
  latency("  latency p90", &Summary::Latency::p90);
  latency("  latency p99", &Summary::Latency::p99);
  latency("  latency p99.9", &Summary::Latency::p999);
  latency("  latency max", &Summary::Latency::max);
  AddRow(text, "  fairness (Jain's index, at most 1)", summaries, [=](const Summary& summary) {
    const auto& fairness = summary.classes[priority].fairness;
    return fairness.has_value() ? absl::StrFormat("%.3f", *fairness) : "-";
  });
}

bool HasRequests(absl::Span<const Summary> summaries, size_t priority) {
  return std::any_of(summaries.begin(), summaries.end(), [=](const Summary& summary) {
    const auto& requests = summary.classes[priority].requests;
    return std::any_of(requests.begin(), requests.end(), [](int64_t count) { return count > 0; });
  });
}

}  // namespace

std::string ReportText(const Setup& setup, absl::Span<const Summary> summaries) {
  std::string text = absl::StrFormat(
      "%d replica%s (%s) of %s, batches of at most %d, %.4g s of audio a second each at best\n  %s\n%s, seed %u\n\n",
      setup.replicas, setup.replicas == 1 ? "" : "s", setup.balancer, setup.curve.name, setup.max_batch_windows,
      setup.Capacity(), setup.curve.source, absl::FormatDuration(setup.duration), setup.seed);
  AddRow(text, "", summaries, [](const Summary& summary) { return summary.scheduler; });
  AddRow(text, "scored, of the capacity", summaries, [](const Summary& s) { return Percent(s.throughput_share); });
  AddRow(text, "answered in time, of the capacity", summaries, [](const Summary& s) { return Percent(s.goodput_share); });
  AddRow(text, "answered in time, s of audio a second", summaries,
         [](const Summary& s) { return absl::StrFormat("%.1f", s.goodput); });
  AddRow(text, "device busy", summaries, [](const Summary& s) { return Percent(s.device_busy_share); });
  AddRow(text, "windows a batch", summaries, [](const Summary& s) { return absl::StrFormat("%.2f", s.windows_per_batch); });
  AddRow(text, "windows run", summaries, [](const Summary& s) { return absl::StrCat(s.windows_run); });
  AddRow(text, "  for callers who had gone", summaries, [](const Summary& s) { return absl::StrCat(s.windows_unwanted); });
  AddRow(text, "  for requests that then failed", summaries, [](const Summary& s) { return absl::StrCat(s.windows_unanswered); });
  constexpr std::array<const char*, kPriorityCount> kClasses = {"interactive", "bulk"};
  for (size_t priority = 0; priority < kPriorityCount; ++priority) {
    if (!HasRequests(summaries, priority)) continue;
    absl::StrAppend(&text, kClasses[priority], "\n");
    AddClass(text, summaries, priority);
  }
  return text;
}

}  // namespace culturetag::simulator
