// What stands between arrivals and one device: the server's policy, or another one to compare it with.
//
// Not thread-safe. The simulation calls it with times that never go back.
#ifndef CULTURETAG_SIMULATOR_SCHEDULER_H_
#define CULTURETAG_SIMULATOR_SCHEDULER_H_

#include <memory>

#include "absl/time/time.h"
#include "simulator/request.h"

namespace culturetag::simulator {

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Queues `request` and returns kPending, or refuses it and returns why: kQueueFull or kDeadline.
  virtual Outcome Offer(const std::shared_ptr<Request>& request, absl::Time now) = 0;

  // The caller of `request`, which was queued and isn't done, has gone.
  virtual void Abandon(Request& request, absl::Time now) = 0;

  // The windows, all of one length, that a free device is to run now; none to wait until NextDecision or an arrival.
  virtual Batch TakeBatch(absl::Time now) = 0;

  // When a free device will have something to do if nothing arrives; InfiniteFuture if nothing waits.
  virtual absl::Time NextDecision() const = 0;

  // The device ran `batch`, of which the requests that are still pending now have their scores, in `device_time`.
  virtual void Finish(const Batch& batch, absl::Duration device_time) = 0;

  // All windows of `request` have their scores.
  virtual void Answered(const Request& request, absl::Time now) = 0;
};

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_SCHEDULER_H_
