#include "batching/cost_model.h"

#include <algorithm>
#include <iterator>

namespace culturetag {
namespace {

constexpr double kNewest = 0.1;  // the weight of the newest pass
constexpr double kMostSurprise = 4;

// The one of the elements [first, last) of a map, at least one, whose key is nearest by ratio to `wanted`. `above` is the
// first whose key is no smaller. Every admission asks for it: so it looks at no more than the two beside the gap.
template <typename Iterator>
Iterator Nearest(Iterator first, Iterator above, Iterator last, double wanted) {
  if (above == first) return above;
  const Iterator below = std::prev(above);
  if (above == last) return below;
  return wanted / static_cast<double>(below->first) <= static_cast<double>(above->first) / wanted ? below : above;
}

}  // namespace

void CostModel::Observe(const BucketKey& key, int windows, absl::Duration device_time) {
  const absl::Duration expected = Pass(key, windows);
  if (expected > absl::ZeroDuration()) device_time = std::min(device_time, kMostSurprise * expected);
  CostByLength& lengths = costs_[key.first];
  const auto [cost, is_new] = lengths[key.second].insert({windows, device_time});
  if (!is_new) cost->second = cost->second * (1 - kNewest) + device_time * kNewest;
  // Lengths are the client's to choose: what is kept of them is bounded. The full window's costs, the longest, stay.
  constexpr size_t kMaxLengths = 256;
  if (lengths.size() > kMaxLengths) lengths.erase(lengths.begin());
}

absl::Duration CostModel::Pass(const BucketKey& key, int windows) const {
  const auto model = costs_.find(key.first);
  if (model == costs_.end()) return absl::ZeroDuration();
  const CostByLength& lengths = model->second;
  const auto length = Nearest(lengths.begin(), lengths.lower_bound(key.second), lengths.end(), static_cast<double>(key.second));
  const CostBySize& sizes = length->second;
  const auto size = Nearest(sizes.begin(), sizes.lower_bound(windows), sizes.end(), static_cast<double>(windows));
  const double samples = static_cast<double>(key.second) / static_cast<double>(length->first);
  return size->second * (samples * windows / size->first);
}

}  // namespace culturetag
