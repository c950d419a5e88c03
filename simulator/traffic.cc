#include "simulator/traffic.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace culturetag::simulator {
namespace {

std::discrete_distribution<size_t> ClientDistribution(const Traffic& traffic) {
  std::vector<double> weights;
  for (int k = 0; k < traffic.clients; ++k) weights.push_back(std::pow(k + 1, -traffic.client_skew));
  return {weights.begin(), weights.end()};
}

}  // namespace

GeneratedTrace::GeneratedTrace(const Traffic& traffic, uint64_t seed)
    : traffic_(traffic),
      random_(seed),
      gap_(traffic.requests_per_second > 0 ? traffic.requests_per_second * traffic.bursts.factor : 1),
      client_(ClientDistribution(traffic)) {
  for (int k = 0; k < traffic.clients; ++k) clients_.push_back(absl::StrCat(traffic.client_prefix, k));
}

absl::optional<Arrival> GeneratedTrace::Next() {
  if (traffic_.requests_per_second <= 0) return absl::nullopt;
  // Candidates come at the highest rate; each is taken with the probability that thins them to the rate of its time.
  do {
    now_ += absl::Seconds(gap_(random_));
  } while (uniform_(random_) * traffic_.bursts.factor >= RateFactor(now_));
  if (now_ >= absl::UnixEpoch() + traffic_.duration) return absl::nullopt;
  Arrival arrival;
  arrival.time = now_;
  arrival.client = clients_[client_(random_)];
  arrival.priority = traffic_.priority;
  arrival.audio = traffic_.lengths.Quantile(uniform_(random_));
  arrival.deadline = traffic_.deadline;
  if (uniform_(random_) < traffic_.impatient_share) arrival.patience = traffic_.patience;
  return arrival;
}

double GeneratedTrace::RateFactor(absl::Time time) const {
  const Bursts& bursts = traffic_.bursts;
  if (bursts.factor <= 1) return 1;
  const absl::Duration since = time - absl::UnixEpoch();
  const absl::Duration in_period = since - absl::Trunc(since, bursts.period);
  if (in_period < bursts.period * bursts.share) return bursts.factor;
  return (1 - bursts.factor * bursts.share) / (1 - bursts.share);
}

}  // namespace culturetag::simulator
