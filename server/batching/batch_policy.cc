#include "batching/batch_policy.h"

#include <algorithm>

namespace culturetag {
namespace {

absl::optional<BatchCloseReason> ReasonToServe(const BucketState& bucket, const BatchPolicyOptions& options, bool draining,
                                               absl::Time now) {
  if (bucket.waiting_windows >= bucket.max_batch_windows) return BatchCloseReason::kFull;
  if (draining) return BatchCloseReason::kDrain;
  if (options.max_queue_delay <= absl::ZeroDuration()) return BatchCloseReason::kIdle;
  if (now - bucket.waiting_since >= options.max_queue_delay) return BatchCloseReason::kDelay;
  if (now >= bucket.latest_start) return BatchCloseReason::kDeadline;
  return absl::nullopt;
}

}  // namespace

absl::optional<BatchDecision> DecideBatch(absl::Span<const BucketState> buckets, const BatchPolicyOptions& options,
                                          bool draining, absl::Time now) {
  absl::optional<BatchDecision> best;
  for (size_t i = 0; i < buckets.size(); ++i) {
    const absl::optional<BatchCloseReason> reason = ReasonToServe(buckets[i], options, draining, now);
    if (!reason.has_value()) continue;
    if (best.has_value() && !(buckets[i].turn < buckets[best->bucket].turn)) continue;
    best = BatchDecision{i, std::min(buckets[i].waiting_windows, buckets[i].max_batch_windows), *reason};
  }
  return best;
}

absl::Time NextDecisionTime(absl::Span<const BucketState> buckets, const BatchPolicyOptions& options) {
  absl::Time next = absl::InfiniteFuture();
  for (const BucketState& bucket : buckets) {
    next = std::min({next, bucket.waiting_since + options.max_queue_delay, bucket.latest_start});
  }
  return next;
}

}  // namespace culturetag
