// Makes a model ready to serve on the calling thread, and finds the largest batch that pays.
//
// TorchScript's and the device's first calls for a shape are many times slower than the later ones, and both keep what
// they prepare per thread: so every batch size is run here, on the thread that will serve, before the first request.
// Which batch is best depends on the device: on a CPU larger batches can even be slower for each window, so it is measured.
#ifndef CULTURETAG_BATCHING_WARMUP_H_
#define CULTURETAG_BATCHING_WARMUP_H_

#include <atomic>
#include <functional>
#include <map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "inference/tagging_model.h"

namespace culturetag {

struct WarmupReport {
  int max_batch_windows = 1;           // the largest batch to send
  absl::Duration window_device_time;   // for each window of such a batch
  std::map<int, absl::Duration> passes;  // what a pass takes, by its windows: of the largest batch and of powers of two below
  absl::Duration duration;             // of the warm-up
};

// Runs `model` on noise. With `max_batch_windows` 0 it doubles the batch, up to kLargestBatch or until the device's memory
// is full, as long as that pays: it must make each window at least a twentieth cheaper, or, where a pass takes no more than
// 250 ms, at most a twentieth dearer. Otherwise it takes `max_batch_windows`. Then it runs every smaller batch that it hasn't
// run yet. Before each pass it calls `between`, so that a device that serves other models goes on with that. CANCELLED as
// soon as `stop` is set; any other error is the model's.
//
// Windows have the model's full length: others are the clients' to choose, in every length, and what they cost is learnt as
// they come.
absl::StatusOr<WarmupReport> WarmUp(TaggingModel& model, int max_batch_windows, Clock& clock, const std::atomic<bool>& stop,
                                    const std::function<void()>& between = [] {});

// A batch this large keeps any present device busy; a larger one only adds to the latency of what waits behind it.
inline constexpr int kLargestBatch = 64;

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_WARMUP_H_
