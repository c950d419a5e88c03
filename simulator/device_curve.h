// What a device takes for a pass: the curve that stands in for the device in a simulation.
//
// Plain values and pure functions; thread-safe.
#ifndef CULTURETAG_SIMULATOR_DEVICE_CURVE_H_
#define CULTURETAG_SIMULATOR_DEVICE_CURVE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "batching/warmup.h"

namespace culturetag::simulator {

// The windows of CultureMERT and of the demo bundle. The server reads them from a bundle's manifest.
inline constexpr int kSampleRateHz = 24000;
inline constexpr absl::Duration kWindow = absl::Seconds(5);
inline constexpr size_t kWindowSamples = 120000;

// A pass over w windows, each a share r of a full window long, takes as long as one over w * r full windows: what a
// convolution and a transformer of limited attention do is proportional to the samples.
struct DeviceCurve {
  struct Point {
    double windows = 1;     // full windows in the pass, > 0
    absl::Duration window;  // for each of them, >= 0
  };

  std::string name;
  std::string source;       // where the figures come from
  absl::Duration fixed;     // for each pass, however small
  std::vector<Point> points;  // at least one, by ascending `windows`; linear between them, flat beyond

  // The time of a pass over `windows` windows of `samples` each.
  absl::Duration Pass(int windows, size_t samples) const;
};

// The curves that come with the simulator.
const std::vector<DeviceCurve>& PresetCurves();

// The preset of that name, or the curve in the JSON file of that name:
//   {"source": "where from", "fixed_ms": 3, "window_ms": {"1": 80, "4": 71}}
// NOT_FOUND if it is neither; INVALID_ARGUMENT for a file that holds something else.
absl::StatusOr<DeviceCurve> FindCurve(const std::string& name_or_path);

// What a server would measure on such a device: the real warm-up, run on the curve.
WarmupReport WarmUpOn(const DeviceCurve& curve, int max_batch_windows);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_DEVICE_CURVE_H_
