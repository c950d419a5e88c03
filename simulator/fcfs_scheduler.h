// First come, first served, with a fixed delay: the scheduler of Triton's dynamic batcher, to compare with.
//
// Modelled on its documented behaviour (NVIDIA Triton Inference Server, User Guide, "Dynamic Batcher"): one queue in the
// order of arrival; a free device takes the longest run at the head of the queue whose shapes are equal, up to the largest
// batch; it takes it at once if the run is as long as the preferred size, or ends at another shape, and otherwise waits
// until its first element has waited max_queue_delay. A cancelled or expired request keeps its place until the head of the
// queue has come to it. Every element is one window, which favours this scheduler: Triton would keep a request's together.
// The bound on what waits counts audio, as the server's does, where Triton's counts requests.
#ifndef CULTURETAG_SIMULATOR_FCFS_SCHEDULER_H_
#define CULTURETAG_SIMULATOR_FCFS_SCHEDULER_H_

#include <deque>
#include <memory>

#include "simulator/scheduler.h"

namespace culturetag::simulator {

class FcfsScheduler final : public Scheduler {
 public:
  struct Options {
    int max_batch_windows = 1;
    int preferred_batch_windows = 0;                      // 0: max_batch_windows
    absl::Duration max_queue_delay;                       // 0: a free device never waits
    absl::Duration max_queued_audio = absl::Minutes(60);  // an empty queue takes anything
  };

  explicit FcfsScheduler(const Options& options);

  Outcome Offer(const std::shared_ptr<Request>& request, absl::Time now) override;
  void Abandon(Request& /*request*/, absl::Time /*now*/) override {}  // the head of the queue will see to it
  Batch TakeBatch(absl::Time now) override;
  absl::Time NextDecision() const override;
  void Finish(const Batch& batch, absl::Duration device_time) override;
  void Answered(const Request& /*request*/, absl::Time /*now*/) override {}

 private:
  struct Queued {
    std::shared_ptr<Request> request;
    int windows;  // that wait
  };

  // How many windows the run at the head has, up to the largest batch, and whether another shape ends it.
  struct Run {
    int windows = 0;
    bool closed = false;
  };
  Run HeadRun() const;
  bool IsRipe(const Run& run, absl::Time now) const;
  void DropAbandonedHead();

  const Options options_;
  std::deque<Queued> queue_;
  absl::Duration held_audio_;  // of whatever holds a place in the queue or on the device
};

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_FCFS_SCHEDULER_H_
