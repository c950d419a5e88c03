#include "batching/cost_model.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace culturetag {
namespace {

constexpr double kNewest = 0.1;  // the weight of the newest pass

// The element of the map's non-empty range whose key has the smallest `distance`.
template <typename Iterator, typename Distance>
Iterator Nearest(Iterator first, Iterator last, Distance distance) {
  return std::min_element(first, last, [&](const auto& a, const auto& b) { return distance(a.first) < distance(b.first); });
}

double LogRatio(double a, double b) { return std::abs(std::log(a / b)); }

}  // namespace

void CostModel::Observe(const BucketKey& key, int windows, absl::Duration device_time) {
  const auto [cost, is_new] = costs_[key].insert({windows, device_time});
  if (!is_new) cost->second = cost->second * (1 - kNewest) + device_time * kNewest;
  // Lengths are the client's to choose: what is kept of them is bounded. The full window's costs, the longest, stay.
  constexpr size_t kMaxLengths = 256;
  if (costs_.size() > kMaxLengths) costs_.erase(costs_.lower_bound({key.first, 0}));
}

absl::Duration CostModel::Pass(const BucketKey& key, int windows) const {
  const auto first = costs_.lower_bound({key.first, 0});
  const auto last = costs_.lower_bound({key.first + 1, 0});
  if (first == last) return absl::ZeroDuration();
  const auto length = Nearest(first, last, [&key](const BucketKey& other) {
    return LogRatio(static_cast<double>(other.second), static_cast<double>(key.second));
  });
  const auto size = Nearest(length->second.begin(), length->second.end(),
                            [windows](int other) { return LogRatio(other, windows); });
  const double samples = static_cast<double>(key.second) / static_cast<double>(length->first.second);
  return size->second * (samples * windows / size->first);
}

}  // namespace culturetag
