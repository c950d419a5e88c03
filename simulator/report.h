// What a simulation has shown, as text for people and as JSON for programs.
//
// Pure functions on values; thread-safe.
#ifndef CULTURETAG_SIMULATOR_REPORT_H_
#define CULTURETAG_SIMULATOR_REPORT_H_

#include <array>
#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "simulator/simulation.h"

namespace culturetag::simulator {

// The smallest of `ascending` that at least a share `quantile` in (0, 1] of them doesn't exceed: a value that occurred,
// never one in between. `ascending` isn't empty.
double Percentile(absl::Span<const double> ascending, double quantile);

// What was simulated.
struct Setup {
  DeviceCurve curve;
  int max_batch_windows = 1;
  int replicas = 1;
  std::string balancer;
  absl::Duration duration;
  uint64_t seed = 1;

  // The audio that one device can score in a second of its time, in seconds.
  double Capacity() const;
};

struct Summary {
  struct Latency {
    double mean = 0, p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0;  // seconds
  };
  struct Class {
    std::array<int64_t, kOutcomeCount> requests{};  // by outcome
    absl::optional<Latency> latency;                // nothing if none was served
    absl::optional<double> fairness;                // Jain's index; nothing if clients never competed
  };

  std::string scheduler;
  std::array<Class, kPriorityCount> classes;
  // Of all replicas together, in seconds of audio a second; and as shares of the capacity.
  double throughput = 0, goodput = 0;
  double throughput_share = 0, goodput_share = 0;
  double device_busy_share = 0;
  double windows_per_batch = 0;
  int64_t windows_run = 0, windows_unwanted = 0, windows_unanswered = 0;
};

Summary Summarize(const std::string& scheduler, const Setup& setup, const Results& results);

// One column for each summary. Ends with a line break.
std::string ReportText(const Setup& setup, absl::Span<const Summary> summaries);

// What ReportJson writes, described for people: the text for --help.
extern const char kReportJsonShape[];

// One JSON object, on one line without a line break.
std::string ReportJson(const Setup& setup, absl::Span<const Summary> summaries);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_REPORT_H_
