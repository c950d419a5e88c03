// From scores of windows to tags of a track.
//
// A track's score for a label is the mean of its windows' scores: the protocol of the studies that published these
// benchmarks (DESIGN.md, section 1).
#ifndef CULTURETAG_LABELING_AGGREGATOR_H_
#define CULTURETAG_LABELING_AGGREGATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "inference/model_spec.h"

namespace culturetag {

// The running mean of windows' scores, or of their hidden states. Thread-compatible.
class WindowMean {
 public:
  // Adds the values of one window, as many as of the windows before.
  void Add(absl::Span<const float> values);

  // The mean over the windows added so far, at least one.
  std::vector<float> Mean() const;

 private:
  std::vector<double> sums_;  // as many as a window has values; in double, so that the order of many windows doesn't show
  int64_t window_count_ = 0;
};

// What a request wants to see of the scores.
struct TagSelection {
  std::vector<int> heads;  // indices into ModelSpec::heads, in the order of the answer
  int top_k = 0;           // the most tags a head; 0: all
  float min_score = 0;     // tags with a lower score are left out
};

// Resolves the names of heads (none: all, in the model's order) to indices. NOT_FOUND for a name that the model lacks,
// listing those that exist; InvalidField("heads") for a name given twice.
absl::StatusOr<std::vector<int>> ResolveHeads(const ModelSpec& model, absl::Span<const std::string> names);

struct ScoredLabel {
  int label = 0;  // index into HeadSpec::labels
  float score = 0;
};

struct HeadTags {
  int head = 0;  // index into ModelSpec::heads
  std::vector<ScoredLabel> tags;  // by descending score; equal scores in the order of the labels
};

// The tags that `selection` asks for, from `scores` as WindowOutput::scores lays them out.
std::vector<HeadTags> SelectTags(const ModelSpec& model, absl::Span<const float> scores, const TagSelection& selection);

}  // namespace culturetag

#endif  // CULTURETAG_LABELING_AGGREGATOR_H_
