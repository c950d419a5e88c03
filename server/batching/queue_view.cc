#include "batching/queue_view.h"

#include <algorithm>

namespace culturetag {
namespace {

// A delayed batch closes this many passes before its earliest deadline: a pass takes now longer, now shorter than predicted,
// and its scores have to be put together and sent.
constexpr double kPassesBeforeDeadline = 1.25;

}  // namespace

WaitingBuckets BucketsOf(const FairQueue& queue, const CostModel& cost, absl::Span<const FullBatch> full_batches) {
  WaitingBuckets waiting;
  for (const auto& [key, state] : queue.Buckets()) {
    waiting.keys.push_back(key);
    BucketState& filled = waiting.states.emplace_back(state);
    filled.max_batch_windows = full_batches[static_cast<size_t>(key.first)].windows;
    filled.latest_start -= kPassesBeforeDeadline * cost.Pass(key, std::min(filled.waiting_windows, filled.max_batch_windows));
  }
  return waiting;
}

}  // namespace culturetag
