#include "simulator/fairness_meter.h"

#include <algorithm>
#include <vector>

namespace culturetag::simulator {

double JainIndex(absl::Span<const double> shares) {
  double sum = 0, squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return sum * sum / (static_cast<double>(shares.size()) * squares);
}

void FairnessMeter::Queued(const Request& request, absl::Time now) {
  Share& share = ShareOf(request);
  if (share.waiting_windows == 0) share.waiting_since = now;
  share.waiting_windows += request.windows;
}

void FairnessMeter::Taken(const Request& request, int windows) {
  Share& share = ShareOf(request);
  share.waiting_windows -= windows;
  share.served += request.window_audio() * windows;
}

void FairnessMeter::Left(const Request& request, int windows) { ShareOf(request).waiting_windows -= windows; }

void FairnessMeter::EndSlice(absl::Time now, const std::map<std::string, double>& client_weights,
                             std::array<MeanFairness, kPriorityCount>& means) {
  for (size_t priority = 0; priority < kPriorityCount; ++priority) {
    std::vector<double> competing;
    for (auto& [client, share] : shares_[priority]) {
      if (share.waiting_windows == 0 || share.waiting_since > slice_start_) continue;
      const auto weight = client_weights.find(client);
      competing.push_back(absl::ToDoubleSeconds(share.served) / (weight == client_weights.end() ? 1 : weight->second));
    }
    // In the order of their size, since that of a hash table isn't the same in every run, and rounding depends on it.
    std::sort(competing.begin(), competing.end());
    if (competing.size() > 1 && competing.back() > 0) {
      means[priority].sum += JainIndex(competing);
      ++means[priority].slices;
    }
    absl::erase_if(shares_[priority], [](const auto& entry) { return entry.second.waiting_windows == 0; });
    for (auto& [client, share] : shares_[priority]) share.served = absl::ZeroDuration();
  }
  slice_start_ = now;
}

}  // namespace culturetag::simulator
