#include "bench/bench_model.h"

#include <cmath>
#include <fstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace culturetag {
namespace {

int64_t SamplesOf(const std::string& text, int sample_rate_hz) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) throw std::invalid_argument(absl::StrCat("'", text, "' is no duration"));
  return std::llround(absl::ToDoubleSeconds(duration) * sample_rate_hz);
}

ModelSpec SpecOf(const nlohmann::json& manifest) {
  ModelSpec spec;
  spec.name = manifest.at("name");
  spec.sample_rate_hz = manifest.at("sampleRateHz");
  spec.window_samples = SamplesOf(manifest.at("window"), spec.sample_rate_hz);
  spec.hop_samples = SamplesOf(manifest.at("hop"), spec.sample_rate_hz);
  spec.min_clip_samples = SamplesOf(manifest.at("minClip"), spec.sample_rate_hz);
  spec.normalize = manifest.value("normalize", false);
  spec.layer_count = manifest.at("layerCount");
  spec.hidden_size = manifest.at("hiddenSize");
  for (const nlohmann::json& head : manifest.at("heads")) {
    HeadSpec& added = spec.heads.emplace_back();
    added.name = head.at("name");
    added.file = head.at("file");
    for (const nlohmann::json& label : head.at("labels")) added.labels.push_back({label.at("name"), "", ""});
  }
  return spec;
}

}  // namespace

absl::StatusOr<ModelSpec> ReadBenchSpec(const std::string& folder) {
  std::ifstream file(folder + "/manifest.json");
  try {
    return SpecOf(nlohmann::json::parse(file));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(folder, "/manifest.json: ", error.what()));
  }
}

}  // namespace culturetag
