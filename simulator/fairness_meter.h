// How evenly one device is shared among the clients that compete for it.
//
// Time is cut into slices. Of each slice, the clients count of which windows waited all the time: the audio that each of
// them was served, divided by its weight, gives Jain's index, (sum x)^2 / (n * sum x^2), which is 1 if all got the same and
// 1/n if one got all (Jain, Chiu, Hawe 1984). The mean is over the slices in which at least two clients competed. Classes
// don't compete: each has its own index.
//
// Not thread-safe.
#ifndef CULTURETAG_SIMULATOR_FAIRNESS_METER_H_
#define CULTURETAG_SIMULATOR_FAIRNESS_METER_H_

#include <array>
#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "simulator/request.h"

namespace culturetag::simulator {

// Of shares that aren't negative and not all zero, at least one.
double JainIndex(absl::Span<const double> shares);

// The mean of the slices' indices.
struct MeanFairness {
  double sum = 0;
  int64_t slices = 0;

  // Nothing if no clients ever competed.
  absl::optional<double> mean() const {
    return slices > 0 ? absl::make_optional(sum / static_cast<double>(slices)) : absl::nullopt;
  }
};

class FairnessMeter {
 public:
  // The windows of `request` wait from now on.
  void Queued(const Request& request, absl::Time now);
  // `windows` of it no longer do, because the device took them, or because its caller has gone.
  void Taken(const Request& request, int windows);
  void Left(const Request& request, int windows);

  // Ends the slice that began with the last call, or at the epoch, and adds its indices, by class, to `means`.
  void EndSlice(absl::Time now, const std::map<std::string, double>& client_weights,
                std::array<MeanFairness, kPriorityCount>& means);

 private:
  struct Share {
    int waiting_windows = 0;
    absl::Time waiting_since;
    absl::Duration served;  // in this slice
  };

  Share& ShareOf(const Request& request) { return shares_[static_cast<size_t>(request.priority())][request.client()]; }

  std::array<absl::flat_hash_map<std::string, Share>, kPriorityCount> shares_;  // of clients, by class
  absl::Time slice_start_ = absl::UnixEpoch();
};

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_FAIRNESS_METER_H_
