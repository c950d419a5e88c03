// The server's metrics (DESIGN.md 4b), counted with prometheus-cpp and printed in Prometheus' text format.
//
// Thread-safe. Create one per process and keep it until everything that records has stopped.
#ifndef CULTURETAG_OBSERVABILITY_METRICS_H_
#define CULTURETAG_OBSERVABILITY_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "observability/metric_labels.h"

namespace culturetag {

// What waits at one moment. Autoscalers read it, so it is asked for at every scrape and speaks also when nothing completes.
struct QueueSnapshot {
  int pending_windows = 0;                                     // admitted and not scored yet
  absl::Duration pending_audio;                                // their audio
  absl::Duration oldest_pending;                               // how long the oldest of them has waited
  absl::Duration estimated_wait;                               // until all of it is scored, by the present estimate
};

class Metrics {
 public:
  explicit Metrics(absl::string_view build_version);
  ~Metrics();

  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // One finished call of the RPC `method` ("Tag") with the status code `code` ("OK", "INVALID_ARGUMENT").
  void RecordRequest(absl::string_view method, absl::string_view code, absl::Duration duration);
  // The time that one request spent in one stage.
  void RecordStage(Stage stage, absl::Duration duration);
  // One pass of the device over `windows` windows.
  void RecordBatch(int windows, BatchCloseReason reason, absl::Duration device_time);
  // Windows that were scored, and how much audio they hold.
  void RecordScored(int windows, absl::Duration audio);
  void RecordRejected(RejectReason reason);
  void RecordWasted(WasteReason reason, int windows);
  // One pass that failed.
  void RecordDeviceError();
  // The most windows that a batch of `model` may have: as measured at start, or less once the device's memory was full.
  void SetMaxBatchWindows(absl::string_view model, int windows);
  // One model that is served from now on, in place of the version that had its name, and how long its warm-up took.
  void RecordModel(absl::string_view model, absl::string_view version, absl::string_view backbone,
                   absl::string_view device, absl::string_view precision, absl::Duration warmup);

  // One attempt to take up a new version of `model`.
  void RecordReload(absl::string_view model, bool success);

  void RecordCacheLookup(CacheOutcome outcome);
  // What the cache of responses holds, and how many it has just let go for want of room.
  void RecordCacheState(int64_t bytes, int evicted);

  // Where Serialize asks what waits; an empty function is asked no more. The function must be thread-safe.
  void SetQueueProbe(std::function<QueueSnapshot()> probe);

  // All metrics in the text exposition format 0.0.4.
  std::string Serialize() const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace culturetag

#endif  // CULTURETAG_OBSERVABILITY_METRICS_H_
