#include "simulator/policy_scheduler.h"

#include <algorithm>

#include "batching/admission.h"
#include "batching/batch_policy.h"

namespace culturetag::simulator {
namespace {

constexpr int kExecutors = 1;  // of a device, as the server has by default

}  // namespace

PolicyScheduler::PolicyScheduler(const Options& options, const DeviceCurve& curve)
    : options_(options),
      full_batches_{{{0, kWindowSamples}, kWindow, options.max_batch_windows}},
      queue_(options.fairness) {
  for (const auto& [windows, pass] : WarmUpOn(curve, options.max_batch_windows).passes) {
    cost_.Observe(full_batches_.front().key, windows, pass);
  }
}

QueueView PolicyScheduler::View(absl::Time now) const {
  return {queue_, cost_, full_batches_, pending_, correction_, kExecutors, std::max(absl::ZeroDuration(), device_free_ - now)};
}

Outcome PolicyScheduler::Offer(const std::shared_ptr<Request>& request, absl::Time now) {
  const NewRequest wanted = {request->key(), request->client(), request->priority(), request->windows, request->window_audio()};
  const AdmissionCase admission = MakeAdmissionCase(wanted, request->deadline() - now, options_.max_queued_audio, View(now));
  request->estimate = admission.estimate;
  RejectReason reject;
  if (!Admit(admission, &reject).ok()) {
    return reject == RejectReason::kQueueFull ? Outcome::kQueueFull : Outcome::kDeadline;
  }
  queue_.Push(*request, static_cast<size_t>(request->windows), now);
  Account(*request, request->windows);
  return Outcome::kPending;
}

void PolicyScheduler::Abandon(Request& request, absl::Time now) {
  if (request.deadline() <= now) correction_.Observe(request.estimate, absl::InfiniteDuration());
  queue_.Remove(request);
  Account(request, -request.unscored);
}

Batch PolicyScheduler::TakeBatch(absl::Time now) {
  const WaitingBuckets buckets = BucketsOf(queue_, cost_, full_batches_);
  Batch batch;
  const auto decision = DecideBatch(buckets.states, {options_.max_queue_delay}, /*draining=*/false, now);
  if (!decision.has_value()) return batch;
  const BucketKey key = buckets.keys[decision->bucket];
  batch.reserve(static_cast<size_t>(decision->windows));
  for (int i = 0; i < decision->windows; ++i) {
    auto& request = static_cast<Request&>(queue_.Next(key));
    batch.push_back(request.shared_from_this());
    queue_.TakeWindow(request, i == 0 ? FairQueue::Place::kLeads : FairQueue::Place::kFills, now);
  }
  device_free_ = now + cost_.Pass(key, decision->windows);
  return batch;
}

absl::Time PolicyScheduler::NextDecision() const {
  return NextDecisionTime(BucketsOf(queue_, cost_, full_batches_).states, {options_.max_queue_delay});
}

void PolicyScheduler::Finish(const Batch& batch, absl::Duration device_time) {
  for (const std::shared_ptr<Request>& request : batch) {
    if (request->outcome == Outcome::kPending) Account(*request, -1);
  }
  cost_.Observe(batch.front()->key(), static_cast<int>(batch.size()), device_time);
}

void PolicyScheduler::Answered(const Request& request, absl::Time now) {
  correction_.Observe(request.estimate, now - request.arrived);
}

void PolicyScheduler::Account(const Request& request, int windows) {
  pending_.Add(request, windows);
  if (pending_.windows() == 0) correction_.RanDry();
}

}  // namespace culturetag::simulator
