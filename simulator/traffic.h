// Generated arrivals: a Poisson stream, steady or in bursts, of the requests of one class.
//
// Not thread-safe. The same options and seed give the same arrivals, on the same C++ standard library.
#ifndef CULTURETAG_SIMULATOR_TRAFFIC_H_
#define CULTURETAG_SIMULATOR_TRAFFIC_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "simulator/lengths.h"
#include "simulator/trace.h"

namespace culturetag::simulator {

// The rate is `factor` times the mean during the first `share` of every `period`, and lower in between, so that the mean
// stays what it is.
struct Bursts {
  double factor = 1;  // >= 1; 1: a steady rate
  double share = 0.1;  // in (0, 1), and factor * share <= 1
  absl::Duration period = absl::Minutes(1);
};

struct Traffic {
  Priority priority = Priority::kInteractive;
  double requests_per_second = 0;  // in the mean; 0: none
  absl::Duration duration;         // of arrivals, from the epoch
  Lengths lengths;
  Bursts bursts;
  std::string client_prefix;  // clients are called client_prefix + "0", "1", ...
  int clients = 1;            // at least 1
  // Client k has a share of the requests that is proportional to (k + 1)^-skew; 0: all have the same.
  double client_skew = 0;
  absl::Duration deadline = absl::InfiniteDuration();
  double impatient_share = 0;  // of requests, that are cancelled `patience` after they arrived, unless they are done
  absl::Duration patience = absl::InfiniteDuration();
};

class GeneratedTrace final : public Trace {
 public:
  GeneratedTrace(const Traffic& traffic, uint64_t seed);
  absl::optional<Arrival> Next() override;

 private:
  // The factor on the mean rate at that time.
  double RateFactor(absl::Time time) const;

  const Traffic traffic_;
  std::vector<std::string> clients_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_;  // seconds, at the highest rate
  std::uniform_real_distribution<double> uniform_{0, 1};
  std::discrete_distribution<size_t> client_;
  absl::Time now_ = absl::UnixEpoch();
};

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_TRAFFIC_H_
