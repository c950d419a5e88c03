#include "batching/warmup.h"

#include <algorithm>
#include <random>
#include <vector>

#include "base/status_macros.h"
#include "batching/batch_runner.h"

namespace culturetag {
namespace {

// What counts as a difference between two batches' time for each window.
constexpr double kTwentieth = 0.05;

// A pass this short hardly adds to a request's latency, and every pass has a price that timing the model alone doesn't
// show: wake-ups, locks, the assembly of the batch. Up to here, larger is better unless it is slower.
constexpr absl::Duration kShortPass = absl::Milliseconds(250);

// The best of this many passes counts, since whatever else the machine does only ever adds; fewer if they take long.
constexpr int kTimedPasses = 3;
constexpr absl::Duration kTimingBudget = absl::Seconds(1);

class WarmupRunner {
 public:
  WarmupRunner(TaggingModel& model, Clock& clock, const std::atomic<bool>& stop, const std::function<void()>& between)
      : model_(model), clock_(clock), stop_(stop), between_(between), noise_(static_cast<size_t>(model.spec().window_samples)) {
    // Noise rather than silence: normalisation and denormal numbers make silence a special case.
    std::minstd_rand generator(1);
    std::uniform_real_distribution<float> uniform(-0.1F, 0.1F);
    for (float& sample : noise_) sample = uniform(generator);
  }

  // The device's time for one pass over `windows` windows.
  absl::StatusOr<absl::Duration> Run(int windows) {
    between_();
    if (stop_) return absl::CancelledError("the warm-up was stopped");
    const std::vector<absl::Span<const float>> batch(static_cast<size_t>(windows), noise_);
    CULTURETAG_ASSIGN_OR_RETURN(const std::unique_ptr<StagedBatch> staged, StageGuarded(model_, batch));
    const absl::Time start = clock_.Now();
    CULTURETAG_RETURN_IF_ERROR(model_.Run(*staged, false).status());
    return clock_.Now() - start;
  }

  // The time of a pass that isn't the first, in which TorchScript and the device prepare themselves.
  absl::StatusOr<absl::Duration> RunWarm(int windows) {
    CULTURETAG_RETURN_IF_ERROR(Run(windows).status());
    absl::Duration best = absl::InfiniteDuration();
    absl::Duration spent;
    for (int i = 0; i < kTimedPasses && spent < kTimingBudget; ++i) {
      CULTURETAG_ASSIGN_OR_RETURN(const absl::Duration pass, Run(windows));
      best = std::min(best, pass);
      spent += pass;
    }
    return best;
  }

 private:
  TaggingModel& model_;
  Clock& clock_;
  const std::atomic<bool>& stop_;
  const std::function<void()>& between_;
  std::vector<float> noise_;
};

// Whether a batch with `pass` for a pass and `window` for each window beats one with `best` for each window.
bool Pays(absl::Duration pass, absl::Duration window, absl::Duration best) {
  return window <= best * (pass <= kShortPass ? 1 + kTwentieth : 1 - kTwentieth);
}

// Doubles the batch while that pays; see the header.
absl::Status MeasureLargestBatch(WarmupRunner& runner, WarmupReport& report) {
  for (int windows = 1; windows <= kLargestBatch; windows *= 2) {
    const absl::StatusOr<absl::Duration> pass = runner.RunWarm(windows);
    if (windows > 1 && absl::IsResourceExhausted(pass.status())) break;
    CULTURETAG_RETURN_IF_ERROR(pass.status());
    if (windows > 1 && !Pays(*pass, *pass / windows, report.window_device_time)) break;
    report.window_device_time = *pass / windows;
    report.max_batch_windows = windows;
    report.passes[windows] = *pass;
  }
  return absl::OkStatus();
}

// The same report on a batch that was decided on elsewhere.
absl::Status MeasureGivenBatch(WarmupRunner& runner, int max_batch_windows, WarmupReport& report) {
  for (int windows = 1; windows < max_batch_windows; windows *= 2) {
    CULTURETAG_ASSIGN_OR_RETURN(report.passes[windows], runner.RunWarm(windows));
  }
  CULTURETAG_ASSIGN_OR_RETURN(report.passes[max_batch_windows], runner.RunWarm(max_batch_windows));
  report.max_batch_windows = max_batch_windows;
  report.window_device_time = report.passes[max_batch_windows] / max_batch_windows;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WarmupReport> WarmUp(TaggingModel& model, int max_batch_windows, Clock& clock,
                                    const std::atomic<bool>& stop, const std::function<void()>& between) {
  const absl::Time start = clock.Now();
  WarmupRunner runner(model, clock, stop, between);
  WarmupReport report;
  CULTURETAG_RETURN_IF_ERROR(max_batch_windows == 0 ? MeasureLargestBatch(runner, report)
                                                    : MeasureGivenBatch(runner, max_batch_windows, report));
  for (int windows = report.max_batch_windows - 1; windows >= 1; --windows) {
    if (report.passes.count(windows) == 0) CULTURETAG_RETURN_IF_ERROR(runner.Run(windows).status());
  }
  report.duration = clock.Now() - start;
  return report;
}

}  // namespace culturetag
