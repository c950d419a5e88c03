#include "labeling/aggregator.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error_details.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

absl::StatusOr<int> FindHead(const ModelSpec& model, const std::string& name) {
  const auto found =
      std::find_if(model.heads.begin(), model.heads.end(), [&name](const HeadSpec& head) { return head.name == name; });
  if (found == model.heads.end()) {
    const auto append_name = [](std::string* out, const HeadSpec& head) { absl::StrAppend(out, head.name); };
    return absl::NotFoundError(absl::StrCat("the model has no head \"", name, "\"; it has ",
                                            absl::StrJoin(model.heads, ", ", append_name)));
  }
  return static_cast<int>(found - model.heads.begin());
}

// Labels of one head with at least `min_score`, the best first; at most `top_k` unless it is 0.
std::vector<ScoredLabel> BestLabels(absl::Span<const float> scores, int top_k, float min_score) {
  std::vector<ScoredLabel> labels;
  for (size_t label = 0; label < scores.size(); ++label) {
    if (scores[label] >= min_score) labels.push_back({static_cast<int>(label), scores[label]});
  }
  const size_t count = top_k == 0 ? labels.size() : std::min(labels.size(), static_cast<size_t>(top_k));
  const auto end = labels.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(labels.begin(), end, labels.end(), [](const ScoredLabel& a, const ScoredLabel& b) {
    return a.score != b.score ? a.score > b.score : a.label < b.label;
  });
  labels.erase(end, labels.end());
  return labels;
}

}  // namespace

void WindowMean::Add(absl::Span<const float> values) {
  if (window_count_++ == 0) sums_.resize(values.size());
  assert(values.size() == sums_.size());
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += values[i];
}

std::vector<float> WindowMean::Mean() const {
  assert(window_count_ > 0);
  std::vector<float> means(sums_.size());
  for (size_t i = 0; i < sums_.size(); ++i) means[i] = static_cast<float>(sums_[i] / static_cast<double>(window_count_));
  return means;
}

absl::StatusOr<std::vector<int>> ResolveHeads(const ModelSpec& model, absl::Span<const std::string> names) {
  std::vector<int> heads;
  if (names.empty()) {
    heads.resize(model.heads.size());
    std::iota(heads.begin(), heads.end(), 0);
    return heads;
  }
  for (const std::string& name : names) {
    CULTURETAG_ASSIGN_OR_RETURN(const int head, FindHead(model, name));
    if (std::find(heads.begin(), heads.end(), head) != heads.end()) {
      return InvalidField("heads", absl::StrCat("the head \"", name, "\" is given twice"));
    }
    heads.push_back(head);
  }
  return heads;
}

std::vector<HeadTags> SelectTags(const ModelSpec& model, absl::Span<const float> scores, const TagSelection& selection) {
  std::vector<size_t> offsets;  // of each head's scores
  size_t offset = 0;
  for (const HeadSpec& head : model.heads) {
    offsets.push_back(offset);
    offset += head.labels.size();
  }
  assert(scores.size() == offset);

  std::vector<HeadTags> result;
  for (const int head : selection.heads) {
    const auto index = static_cast<size_t>(head);
    const absl::Span<const float> head_scores = scores.subspan(offsets[index], model.heads[index].labels.size());
    result.push_back({head, BestLabels(head_scores, selection.top_k, selection.min_score)});
  }
  return result;
}

}  // namespace culturetag
