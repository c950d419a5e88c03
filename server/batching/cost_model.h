// What a pass costs the device, by model, window length and batch size: measured at start and kept up to date.
//
// Thread-compatible.
#ifndef CULTURETAG_BATCHING_COST_MODEL_H_
#define CULTURETAG_BATCHING_COST_MODEL_H_

#include <map>

#include "absl/time/time.h"
#include "batching/fair_queue.h"

namespace culturetag {

class CostModel {
 public:
  // A pass over `windows` windows of `key` took `device_time`. A moving average over about ten passes: enough to smooth
  // noise, short enough to follow a device that throttles. A pass counts for at most four times what was expected of it:
  // else a device that stalls once for ten seconds would have requests refused long after.
  void Observe(const BucketKey& key, int windows, absl::Duration device_time);

  // The device's time for a pass over `windows` windows of `key`. A batch size that wasn't seen costs, for each window, what
  // the nearest size that was does; a length that wasn't, what the nearest length of the model does for each sample. Zero
  // for a model of which nothing is known.
  absl::Duration Pass(const BucketKey& key, int windows) const;

  // Forgets all of a model.
  void Forget(int model) { costs_.erase(model); }

 private:
  using CostBySize = std::map<int, absl::Duration>;      // of a pass, by the windows in it
  using CostByLength = std::map<size_t, CostBySize>;  // by the samples of a window

  std::map<int, CostByLength> costs_;  // by model
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_COST_MODEL_H_
