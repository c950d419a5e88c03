// What EstimateCompletion can't know, learnt from how its estimates came out.
//
// An estimate counts what waits when a request is admitted. Those that are admitted later take turns with it and make it
// later; under a load above the capacity so much so that most requests would be admitted and then expire. So the estimates
// of requests that have ended are compared with the time that those took, and new estimates are multiplied by the factor
// that would have been enough for 995 of 1,000. It rises by a tenth with every request that took longer, and sinks by half a
// thousandth with every one that didn't: a stochastic approximation of that percentile. 99 of 100 are to meet their
// deadlines; the other half of a hundredth is for those that don't while the factor is being learnt. When the queue runs
// dry, the overload is over, and what it taught is soon forgotten: else an idle server would go on refusing what it can do.
//
// Thread-compatible.
#ifndef CULTURETAG_BATCHING_ESTIMATE_CORRECTION_H_
#define CULTURETAG_BATCHING_ESTIMATE_CORRECTION_H_

#include "absl/time/time.h"

namespace culturetag {

class EstimateCorrection {
 public:
  // `estimate` as it will have been enough for 995 of 1,000 requests, if things stay as they are.
  absl::Duration Corrected(absl::Duration estimate) const;

  // A request with that (uncorrected) estimate has ended after `taken`; InfiniteDuration if it missed its deadline.
  void Observe(absl::Duration estimate, absl::Duration taken);

  // Nothing waits any more, and nothing runs.
  void RanDry() { log_factor_ /= 2; }

 private:
  double log_factor_ = 0;  // within [0, log(20)]
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_ESTIMATE_CORRECTION_H_
