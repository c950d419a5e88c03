#include "simulator/fcfs_scheduler.h"

#include <algorithm>

namespace culturetag::simulator {
namespace {

FcfsScheduler::Options WithPreferredBatch(FcfsScheduler::Options options) {
  if (options.preferred_batch_windows == 0) options.preferred_batch_windows = options.max_batch_windows;
  return options;
}

}  // namespace

FcfsScheduler::FcfsScheduler(const Options& options) : options_(WithPreferredBatch(options)) {}

Outcome FcfsScheduler::Offer(const std::shared_ptr<Request>& request, absl::Time /*now*/) {
  if (held_audio_ + request->work() > options_.max_queued_audio && held_audio_ > absl::ZeroDuration()) {
    return Outcome::kQueueFull;
  }
  queue_.push_back({request, request->windows});
  held_audio_ += request->work();
  return Outcome::kPending;
}

Batch FcfsScheduler::TakeBatch(absl::Time now) {
  DropAbandonedHead();
  Batch batch;
  const Run run = HeadRun();
  if (!IsRipe(run, now)) return batch;
  while (static_cast<int>(batch.size()) < run.windows) {
    DropAbandonedHead();
    Queued& head = queue_.front();
    batch.push_back(head.request);
    if (--head.windows == 0) queue_.pop_front();
  }
  return batch;
}

absl::Time FcfsScheduler::NextDecision() const {
  if (queue_.empty()) return absl::InfiniteFuture();
  return queue_.front().request->arrived + options_.max_queue_delay;
}

void FcfsScheduler::Finish(const Batch& batch, absl::Duration /*device_time*/) {
  for (const std::shared_ptr<Request>& request : batch) held_audio_ -= request->window_audio();
}

FcfsScheduler::Run FcfsScheduler::HeadRun() const {
  Run run;
  for (const Queued& queued : queue_) {
    if (queued.request->outcome != Outcome::kPending) continue;
    run.closed = queued.request->key() != queue_.front().request->key();
    if (run.closed) break;
    run.windows = std::min(run.windows + queued.windows, options_.max_batch_windows);
    if (run.windows == options_.max_batch_windows) break;
  }
  return run;
}

bool FcfsScheduler::IsRipe(const Run& run, absl::Time now) const {
  if (run.windows == 0) return false;
  return run.closed || run.windows >= options_.preferred_batch_windows || now >= NextDecision();
}

void FcfsScheduler::DropAbandonedHead() {
  while (!queue_.empty() && queue_.front().request->outcome != Outcome::kPending) {
    held_audio_ -= queue_.front().request->window_audio() * queue_.front().windows;
    queue_.pop_front();
  }
}

}  // namespace culturetag::simulator
