#include "batching/estimate_correction.h"

#include <algorithm>
#include <cmath>

namespace culturetag {
namespace {

constexpr double kShareInTime = 0.995;  // of the requests
constexpr double kStep = 0.1;
const double kMostLogFactor = std::log(20);

}  // namespace

absl::Duration EstimateCorrection::Corrected(absl::Duration estimate) const { return estimate * std::exp(log_factor_); }

void EstimateCorrection::Observe(absl::Duration estimate, absl::Duration taken) {
  const bool enough = taken <= Corrected(estimate);
  log_factor_ += kStep * (enough ? kShareInTime - 1 : kShareInTime);
  log_factor_ = std::clamp(log_factor_, 0.0, kMostLogFactor);
}

}  // namespace culturetag
