#include "batching/cost_model.h"

#include <iterator>

namespace culturetag {
namespace {

constexpr double kNewest = 0.1;  // the weight of the newest pass

// The one of the elements [first, last) of a map, at least one, whose key is nearest by ratio to `wanted`. `above` is the
// first whose key is no smaller. Every admission asks for it: so it looks at no more than the two beside the gap.
template <typename Iterator, typename Value>
Iterator Nearest(Iterator first, Iterator above, Iterator last, double wanted, Value value) {
  if (above == first) return above;
  const Iterator below = std::prev(above);
  if (above == last) return below;
  return wanted / value(below->first) <= value(above->first) / wanted ? below : above;
}

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
  const auto length = Nearest(first, costs_.lower_bound(key), last, static_cast<double>(key.second),
                              [](const BucketKey& other) { return static_cast<double>(other.second); });
  const CostBySize& sizes = length->second;
  const auto size = Nearest(sizes.begin(), sizes.lower_bound(windows), sizes.end(), static_cast<double>(windows),
                            [](int other) { return static_cast<double>(other); });
  const double samples = static_cast<double>(key.second) / static_cast<double>(length->first.second);
  return size->second * (samples * windows / size->first);
}

}  // namespace culturetag
