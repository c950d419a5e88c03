// What a model costs the device: seconds of its time for a second of audio, measured at start and kept up to date.
//
// Thread-compatible.
#ifndef CULTURETAG_BATCHING_COST_MODEL_H_
#define CULTURETAG_BATCHING_COST_MODEL_H_

#include <vector>

#include "absl/time/time.h"

namespace culturetag {

class CostModel {
 public:
  // Of `model_count` models nothing is known yet: their work is estimated as free.
  explicit CostModel(size_t model_count) : rates_(model_count, 0.0) {}

  // The device took `device_time` for `audio` of the model at index `model`. A moving average over about ten batches:
  // enough to smooth noise, short enough to follow a device that throttles.
  void Observe(int model, absl::Duration audio, absl::Duration device_time) {
    constexpr double kWeight = 0.1;
    const double rate = absl::FDivDuration(device_time, audio);
    double& average = rates_[static_cast<size_t>(model)];
    average = average == 0.0 ? rate : (1 - kWeight) * average + kWeight * rate;
  }

  // The device's time for `audio`.
  absl::Duration Estimate(int model, absl::Duration audio) const { return audio * rates_[static_cast<size_t>(model)]; }

 private:
  std::vector<double> rates_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_COST_MODEL_H_
