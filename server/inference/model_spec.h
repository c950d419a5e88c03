// What a model is, apart from its weights: the manifest of a bundle in the server's own types, with durations turned into
// samples. Plain values without behaviour, so that the engine builds without protobuf.
#ifndef CULTURETAG_INFERENCE_MODEL_SPEC_H_
#define CULTURETAG_INFERENCE_MODEL_SPEC_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace culturetag {

struct LabelSpec {
  std::string name;
  std::string category;
  std::string untrained_reason;  // empty if the label was trained
};

struct HeadSpec {
  std::string name;
  std::string title;
  std::string dataset;
  std::string file;  // path of the TorchScript file, relative to the bundle
  std::vector<LabelSpec> labels;
  std::map<std::string, double> metrics;
};

struct ModelSpec {
  std::string name;
  std::string version;
  std::string backbone;
  std::string license;
  std::string description;

  int sample_rate_hz = 0;
  int64_t window_samples = 0;
  int64_t hop_samples = 0;
  int64_t min_clip_samples = 0;
  bool normalize = false;  // each window to zero mean and unit variance before the backbone

  int layer_count = 0;  // L, hidden states
  int hidden_size = 0;  // D
  std::vector<HeadSpec> heads;

  // K, the labels of all heads: the length of a window's scores.
  int label_count() const {
    size_t count = 0;
    for (const HeadSpec& head : heads) count += head.labels.size();
    return static_cast<int>(count);
  }
};

}  // namespace culturetag

#endif  // CULTURETAG_INFERENCE_MODEL_SPEC_H_
