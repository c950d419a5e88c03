// The server's own queue under a simulated clock: FairQueue, BucketsOf, DecideBatch, CostModel, MakeAdmissionCase and Admit,
// called in the order in which WindowBatcher calls them.
#ifndef CULTURETAG_SIMULATOR_POLICY_SCHEDULER_H_
#define CULTURETAG_SIMULATOR_POLICY_SCHEDULER_H_

#include <memory>
#include <vector>

#include "batching/queue_view.h"
#include "simulator/scheduler.h"

namespace culturetag::simulator {

class PolicyScheduler final : public Scheduler {
 public:
  struct Options {
    int max_batch_windows = 1;                           // at least 1
    absl::Duration max_queue_delay;                      // as WindowBatcher::Options
    absl::Duration max_queued_audio = absl::Minutes(60);  // of each class; likewise
    FairQueue::Options fairness;
  };

  // `curve` is what the warm-up measures; later passes refine it.
  PolicyScheduler(const Options& options, const DeviceCurve& curve);

  Outcome Offer(const std::shared_ptr<Request>& request, absl::Time now) override;
  void Abandon(Request& request, absl::Time now) override;
  Batch TakeBatch(absl::Time now) override;
  absl::Time NextDecision() const override;
  void Finish(const Batch& batch, absl::Duration device_time) override;
  void Answered(const Request& request, absl::Time now) override;

 private:
  QueueView View(absl::Time now) const;
  // `windows` of `request` come, or go if they are fewer than none.
  void Account(const Request& request, int windows);

  const Options options_;
  const std::vector<FullBatch> full_batches_;  // of the one model
  FairQueue queue_;
  CostModel cost_;
  EstimateCorrection correction_;
  PendingWork pending_;
  absl::Time device_free_ = absl::InfinitePast();  // when the running batch is expected to end
};

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_POLICY_SCHEDULER_H_
