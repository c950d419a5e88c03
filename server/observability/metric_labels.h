// The label values of the metrics, as types, so that no caller can invent one. See metrics.h.
#ifndef CULTURETAG_OBSERVABILITY_METRIC_LABELS_H_
#define CULTURETAG_OBSERVABILITY_METRIC_LABELS_H_

namespace culturetag {

// The parts of a request's time.
enum class Stage { kDecode, kResample, kQueue, kInference, kAggregate };
inline constexpr int kStageCount = 5;

// Why a batch was sent to the device when it was.
enum class BatchCloseReason {
  kFull,      // as many windows waited as the largest batch holds
  kIdle,      // the device was free and nothing was to be gained by waiting
  kDelay,     // the oldest window had waited --max_queue_delay
  kDeadline,  // waiting longer would have missed a deadline
  kDrain,     // the server is shutting down
};
inline constexpr int kBatchCloseReasonCount = 5;

// Why a request was turned away.
enum class RejectReason { kQueueFull, kDeadline, kDraining, kTooLong, kBadAudio, kUnauthenticated, kQuota };
inline constexpr int kRejectReasonCount = 7;

// How a call met the cache of responses.
enum class CacheOutcome {
  kHit,        // answered from it
  kMiss,       // answered by a run of its own
  kCoalesced,  // waited for the run of an identical call
};
inline constexpr int kCacheOutcomeCount = 3;

// Why the device scored a window that nobody waited for any more.
enum class WasteReason { kCancelled, kExpired };
inline constexpr int kWasteReasonCount = 2;

}  // namespace culturetag

#endif  // CULTURETAG_OBSERVABILITY_METRIC_LABELS_H_
