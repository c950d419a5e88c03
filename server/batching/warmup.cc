#include "batching/warmup.h"

#include <algorithm>
#include <random>
#include <vector>

#include "base/status_macros.h"

namespace culturetag {
namespace {

// What a doubled batch must save of each window's time to be worth the latency that it adds.
constexpr double kWorthwhileSaving = 0.05;

class WarmupRunner {
 public:
  WarmupRunner(TaggingModel& model, Clock& clock, const std::atomic<bool>& stop)
      : model_(model), clock_(clock), stop_(stop), noise_(static_cast<size_t>(model.spec().window_samples)) {
    // Noise rather than silence: normalisation and denormal numbers make silence a special case.
    std::minstd_rand generator(1);
    std::uniform_real_distribution<float> uniform(-0.1F, 0.1F);
    for (float& sample : noise_) sample = uniform(generator);
  }

  // The device's time for one pass over `windows` windows.
  absl::StatusOr<absl::Duration> Run(int windows) {
    if (stop_) return absl::CancelledError("the warm-up was stopped");
    const std::vector<absl::Span<const float>> batch(static_cast<size_t>(windows), noise_);
    const absl::Time start = clock_.Now();
    CULTURETAG_RETURN_IF_ERROR(model_.Run(batch).status());
    return clock_.Now() - start;
  }

  // The time of a pass after the first two, in which TorchScript profiles and optimises.
  absl::StatusOr<absl::Duration> RunWarm(int windows) {
    CULTURETAG_RETURN_IF_ERROR(Run(windows).status());
    CULTURETAG_RETURN_IF_ERROR(Run(windows).status());
    return Run(windows);
  }

 private:
  TaggingModel& model_;
  Clock& clock_;
  const std::atomic<bool>& stop_;
  std::vector<float> noise_;
};

// Doubles the batch while that pays; see the header.
absl::Status MeasureLargestBatch(WarmupRunner& runner, WarmupReport& report) {
  CULTURETAG_ASSIGN_OR_RETURN(report.window_device_time, runner.RunWarm(1));
  report.max_batch_windows = 1;
  for (int windows = 2; windows <= kLargestBatch; windows *= 2) {
    const absl::StatusOr<absl::Duration> pass = runner.RunWarm(windows);
    if (absl::IsResourceExhausted(pass.status())) break;
    CULTURETAG_RETURN_IF_ERROR(pass.status());
    if (*pass / windows > report.window_device_time * (1 - kWorthwhileSaving)) break;
    report.window_device_time = *pass / windows;
    report.max_batch_windows = windows;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WarmupReport> WarmUp(TaggingModel& model, int max_batch_windows, Clock& clock,
                                    const std::atomic<bool>& stop) {
  const absl::Time start = clock.Now();
  WarmupRunner runner(model, clock, stop);
  WarmupReport report;
  if (max_batch_windows == 0) {
    CULTURETAG_RETURN_IF_ERROR(MeasureLargestBatch(runner, report));
  } else {
    report.max_batch_windows = max_batch_windows;
    CULTURETAG_ASSIGN_OR_RETURN(const absl::Duration pass, runner.RunWarm(max_batch_windows));
    report.window_device_time = pass / max_batch_windows;
  }
  for (int windows = report.max_batch_windows - 1; windows >= 1; --windows) {
    CULTURETAG_RETURN_IF_ERROR(runner.Run(windows).status());
  }
  report.duration = clock.Now() - start;
  return report;
}

}  // namespace culturetag
