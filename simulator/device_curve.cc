#include "simulator/device_curve.h"

#include <algorithm>
#include <atomic>
#include <fstream>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "inference/tagging_model.h"

namespace culturetag::simulator {
namespace {

// A clock that only the simulated model moves.
class ModelClock final : public Clock {
 public:
  absl::Time Now() const override { return now_; }
  bool AwaitUntil(absl::Mutex& /*mutex*/, const absl::Condition& condition, absl::Time deadline) override {
    if (!condition.Eval()) now_ = std::max(now_, deadline);
    return condition.Eval();
  }
  void Advance(absl::Duration duration) { now_ += duration; }

 private:
  absl::Time now_ = absl::UnixEpoch();
};

class CurveBatch final : public StagedBatch {
 public:
  explicit CurveBatch(absl::Duration pass_in) : pass(pass_in) {}
  const absl::Duration pass;
};

// A model without labels whose passes take what the curve says.
class CurveModel final : public TaggingModel {
 public:
  CurveModel(const DeviceCurve& curve, ModelClock& clock) : curve_(curve), clock_(clock) {
    spec_.name = curve.name;
    spec_.sample_rate_hz = kSampleRateHz;
    spec_.window_samples = kWindowSamples;
    spec_.hop_samples = kWindowSamples;
    spec_.min_clip_samples = 1;
  }

  const ModelSpec& spec() const override { return spec_; }
  std::string device() const override { return "simulated"; }
  std::string precision() const override { return "none"; }
  absl::StatusOr<std::unique_ptr<StagedBatch>> Stage(absl::Span<const absl::Span<const float>> windows) override {
    return std::make_unique<CurveBatch>(curve_.Pass(static_cast<int>(windows.size()), windows.front().size()));
  }
  absl::StatusOr<std::vector<WindowOutput>> Run(const StagedBatch& batch, bool /*hidden_states*/) override {
    clock_.Advance(static_cast<const CurveBatch&>(batch).pass);
    return std::vector<WindowOutput>();
  }

 private:
  const DeviceCurve& curve_;
  ModelClock& clock_;
  ModelSpec spec_;
};

absl::StatusOr<DeviceCurve> ParseCurve(const nlohmann::json& json) {
  DeviceCurve curve;
  curve.source = json.value("source", "");
  curve.fixed = absl::Milliseconds(json.value("fixed_ms", 0.0));
  for (const auto& [windows, milliseconds] : json.at("window_ms").items()) {
    DeviceCurve::Point point;
    if (!absl::SimpleAtod(windows, &point.windows) || !(point.windows > 0)) {
      return absl::InvalidArgumentError(absl::StrCat("`", windows, "` in window_ms is no number of windows"));
    }
    point.window = absl::Milliseconds(milliseconds.get<double>());
    curve.points.push_back(point);
  }
  std::sort(curve.points.begin(), curve.points.end(), [](const auto& a, const auto& b) { return a.windows < b.windows; });
  const bool negative = std::any_of(curve.points.begin(), curve.points.end(),
                                    [](const auto& point) { return point.window < absl::ZeroDuration(); });
  if (curve.points.empty() || negative || curve.fixed < absl::ZeroDuration() ||
      curve.Pass(1, kWindowSamples) <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("times must not be negative, and a window must take some");
  }
  return curve;
}

}  // namespace

absl::Duration DeviceCurve::Pass(int windows, size_t samples) const {
  const double full = static_cast<double>(windows) * static_cast<double>(samples) / kWindowSamples;
  const auto above = std::find_if(points.begin(), points.end(), [full](const Point& point) { return point.windows >= full; });
  if (above == points.end()) return fixed + points.back().window * full;
  if (above == points.begin()) return fixed + above->window * full;
  const Point& below = *(above - 1);
  const double share = (full - below.windows) / (above->windows - below.windows);
  return fixed + (below.window + (above->window - below.window) * share) * full;
}

const std::vector<DeviceCurve>& PresetCurves() {
  static const auto& presets = *new std::vector<DeviceCurve>{
      {"cpu-demo",
       "the demo bundle on 2 AVX2 cores: 71 ms a window at batch 4 and 56 at batch 2 by the server's warm-up; the other "
       "sizes in proportion to the CPU time of a pass",
       absl::ZeroDuration(),
       {{1, absl::Milliseconds(56)}, {2, absl::Milliseconds(53)}, {4, absl::Milliseconds(71)}, {8, absl::Milliseconds(80)},
        {16, absl::Milliseconds(86)}}},
      {"cpu-95m",
       "a full-size backbone on 2 AVX2 cores: 1.29 s a window at batch 1 by the server's warm-up, and 20-40 % more at batch 4",
       absl::ZeroDuration(),
       {{1, absl::Milliseconds(1290)}, {4, absl::Milliseconds(1680)}}},
      {"gpu-assumed",
       "an assumption, not a measurement: 105 GFLOP a window at 400 TFLOP/s, and 3 ms a pass to launch its kernels, as an "
       "H200 in bf16 might do",
       absl::Milliseconds(3),
       {{1, absl::Microseconds(263)}}},
  };
  return presets;
}

absl::StatusOr<DeviceCurve> FindCurve(const std::string& name_or_path) {
  for (const DeviceCurve& preset : PresetCurves()) {
    if (preset.name == name_or_path) return preset;
  }
  std::ifstream file(name_or_path);
  if (!file) {
    const auto name = [](std::string* out, const DeviceCurve& curve) { absl::StrAppend(out, curve.name); };
    return absl::NotFoundError(absl::StrCat("`", name_or_path, "` is neither a file that can be read nor one of ",
                                            absl::StrJoin(PresetCurves(), ", ", name)));
  }
  try {
    CULTURETAG_ASSIGN_OR_RETURN(DeviceCurve curve, ParseCurve(nlohmann::json::parse(file)));
    curve.name = name_or_path;
    return curve;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected {\"fixed_ms\": 3, \"window_ms\": {\"1\": 80, \"4\": 71}}: ", error.what()));
  }
}

WarmupReport WarmUpOn(const DeviceCurve& curve, int max_batch_windows) {
  ModelClock clock;
  CurveModel model(curve, clock);
  const std::atomic<bool> stop{false};
  return *WarmUp(model, max_batch_windows, clock, stop);  // a curve doesn't fail
}

}  // namespace culturetag::simulator
