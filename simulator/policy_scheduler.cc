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
  const FullBatch& batch = full_batches_.front();
  cost_.Observe(batch.key, batch.windows, curve.Pass(batch.windows, kWindowSamples));
}

Outcome PolicyScheduler::Offer(const std::shared_ptr<Request>& request, absl::Time now) {
  AdmissionCase admission;
  absl::Duration& pending = pending_audio_[static_cast<size_t>(request->priority())];
  admission.pending_audio = pending;
  admission.max_queued_audio = options_.max_queued_audio;
  admission.audio = request->work();
  admission.excess_time =
      DeviceTime(cost_, full_batches_.front(), pending + admission.audio - options_.max_queued_audio);
  request->estimate = EstimateCompletion(
      {request->key(), request->client(), request->priority(), request->windows, request->window_audio()},
      std::max(absl::ZeroDuration(), device_free_ - now), kExecutors, queue_, cost_, full_batches_);
  admission.completion = correction_.Corrected(request->estimate);
  admission.time_left = request->deadline() - now;
  RejectReason reject;
  if (!Admit(admission, &reject).ok()) {
    return reject == RejectReason::kQueueFull ? Outcome::kQueueFull : Outcome::kDeadline;
  }
  queue_.Push(*request, static_cast<size_t>(request->windows), now);
  pending += request->work();
  return Outcome::kPending;
}

void PolicyScheduler::Abandon(Request& request, absl::Time now) {
  if (request.deadline() <= now) correction_.Observe(request.estimate, absl::InfiniteDuration());
  queue_.Remove(request);
  pending_audio_[static_cast<size_t>(request.priority())] -= request.window_audio() * request.unscored;
}

Batch PolicyScheduler::TakeBatch(absl::Time now) {
  LookAtBuckets();
  Batch batch;
  const auto decision = DecideBatch(states_, {options_.max_queue_delay}, /*draining=*/false, now);
  if (!decision.has_value()) return batch;
  const BucketKey key = keys_[decision->bucket];
  batch.reserve(static_cast<size_t>(decision->windows));
  for (int i = 0; i < decision->windows; ++i) {
    auto& request = static_cast<Request&>(queue_.Next(key));
    batch.push_back(request.shared_from_this());
    queue_.TakeWindow(request, now);
  }
  device_free_ = now + cost_.Pass(key, decision->windows);
  return batch;
}

absl::Time PolicyScheduler::NextDecision() const {
  LookAtBuckets();
  return NextDecisionTime(states_, {options_.max_queue_delay});
}

void PolicyScheduler::Finish(const Batch& batch, absl::Duration device_time) {
  for (const std::shared_ptr<Request>& request : batch) {
    if (request->outcome != Outcome::kPending) continue;
    pending_audio_[static_cast<size_t>(request->priority())] -= request->window_audio();
  }
  cost_.Observe(batch.front()->key(), static_cast<int>(batch.size()), device_time);
}

void PolicyScheduler::Answered(const Request& request, absl::Time now) {
  correction_.Observe(request.estimate, now - request.arrived);
}

void PolicyScheduler::LookAtBuckets() const {
  keys_.clear();
  states_.clear();
  for (const auto& [key, state] : queue_.Buckets()) {
    keys_.push_back(key);
    BucketState& filled = states_.emplace_back(state);
    filled.max_batch_windows = options_.max_batch_windows;
    filled.latest_start -= cost_.Pass(key, std::min(filled.waiting_windows, filled.max_batch_windows));
  }
}

}  // namespace culturetag::simulator
