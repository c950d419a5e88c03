// A model without weights: its scores are read off the window's samples, its time passes on a FakeClock, and a test may
// hold it, make it fail and ask what it was given.
//
// Thread-safe.
#ifndef CULTURETAG_TESTS_FAKES_FAKE_MODEL_H_
#define CULTURETAG_TESTS_FAKES_FAKE_MODEL_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "fakes/fake_clock.h"
#include "inference/tagging_model.h"

namespace culturetag {

// Windows of 100 samples, clips of at least 10, at 1000 Hz; a window is 0.1 s. Two heads of three and of two labels.
inline ModelSpec FakeSpec(std::string name = "fake") {
  ModelSpec spec;
  spec.name = std::move(name);
  spec.version = "1.2.3";
  spec.backbone = "none";
  spec.license = "CC0-1.0";
  spec.description = "Not a model.";
  spec.sample_rate_hz = 1000;
  spec.window_samples = 100;
  spec.hop_samples = 100;
  spec.min_clip_samples = 10;
  spec.layer_count = 1;
  spec.hidden_size = 1;
  spec.heads = {{"makam", "Turkish makam", "none", "heads/makam.ts",
                 {{"Rast", "makam", ""}, {"Ney", "instrument", ""}, {"Düyek", "usul", "can't be rendered"}}, {{"map", 0.5}}},
                {"fma", "FMA", "none", "heads/fma.ts", {{"Rock", "genre", ""}, {"Folk", "genre", ""}}, {}}};
  return spec;
}

// A window of `length` samples, all `value`, which the fake's scores give back.
inline std::vector<float> FakeWindow(float value, size_t length = 100) { return std::vector<float>(length, value); }

class FakeModel final : public TaggingModel {
 public:
  // What one pass was given: the first sample of each window, and their common length.
  struct Pass {
    std::vector<float> firsts;
    size_t length = 0;
  };

  explicit FakeModel(ModelSpec spec = FakeSpec(), FakeClock* clock = nullptr) : spec_(std::move(spec)), clock_(clock) {}

  const ModelSpec& spec() const override { return spec_; }
  std::string device() const override { return "fake:0"; }
  std::string precision() const override { return "fp32"; }

  // Takes SetStagingTime on the fake clock.
  absl::StatusOr<std::unique_ptr<StagedBatch>> Stage(absl::Span<const absl::Span<const float>> windows) override {
    auto batch = std::make_unique<Batch>();
    batch->pass.length = windows.front().size();
    for (const absl::Span<const float> window : windows) batch->pass.firsts.push_back(window.front());
    absl::MutexLock lock(&mutex_);
    ++staged_;
    if (clock_ != nullptr && staging_time_ > absl::ZeroDuration()) clock_->Advance(staging_time_);
    return batch;
  }

  // Label k of a window whose first sample is v scores v / (k + 1). Its hidden states are all v.
  absl::StatusOr<std::vector<WindowOutput>> Run(const StagedBatch& batch, bool hidden_states) override {
    const Pass& windows = static_cast<const Batch&>(batch).pass;
    std::function<absl::Status(size_t)> failure;
    {
      absl::MutexLock lock(&mutex_);
      passes_.push_back(windows);
      mutex_.Await(absl::Condition(this, &FakeModel::MayGoOn));
      if (permits_ > 0) --permits_;
      failure = failure_;
    }
    if (clock_ != nullptr) clock_->Advance(pass_time_ + window_time_ * static_cast<int64_t>(windows.firsts.size()));
    if (failure) {
      if (absl::Status status = failure(windows.firsts.size()); !status.ok()) return status;
    }
    std::vector<WindowOutput> outputs;
    for (const float first : windows.firsts) {
      WindowOutput& output = outputs.emplace_back();
      for (int k = 0; k < spec_.label_count(); ++k) output.scores.push_back(first / static_cast<float>(k + 1));
      if (hidden_states) output.hidden_states.assign(static_cast<size_t>(spec_.layer_count * spec_.hidden_size), first);
    }
    return outputs;
  }

  // What a pass takes on the fake clock: `pass` and, for each window, `window`. Set it while nothing is submitted.
  void SetCost(absl::Duration pass, absl::Duration window) {
    pass_time_ = pass;
    window_time_ = window;
  }

  // What Stage takes on the fake clock. Set it before the first one.
  void SetStagingTime(absl::Duration time) { staging_time_ = time; }
  // Blocks until `count` batches have been staged, warm-up included.
  void WaitForStaged(int count) {
    const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return staged_ >= count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
  }
  int staged() {
    absl::MutexLock lock(&mutex_);
    return staged_;
  }

  // Passes wait, from now on, until Release or a Permit.
  void Hold() {
    absl::MutexLock lock(&mutex_);
    held_ = true;
  }
  void Release() {
    absl::MutexLock lock(&mutex_);
    held_ = false;
  }
  // Lets one held pass, this or the next, go on.
  void Permit() {
    absl::MutexLock lock(&mutex_);
    ++permits_;
  }

  // Called with the number of windows of every pass, from now on; its error becomes the pass's.
  void FailWith(std::function<absl::Status(size_t)> failure) {
    absl::MutexLock lock(&mutex_);
    failure_ = std::move(failure);
  }

  // Blocks until `count` passes have begun since ForgetPasses, and returns them.
  std::vector<Pass> WaitForPasses(size_t count) {
    const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return passes_.size() >= count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
    return passes_;
  }
  std::vector<Pass> passes() { return WaitForPasses(0); }
  void ForgetPasses() {
    absl::MutexLock lock(&mutex_);
    passes_.clear();
  }

 private:
  struct Batch final : StagedBatch {
    Pass pass;
  };

  bool MayGoOn() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !held_ || permits_ > 0; }

  const ModelSpec spec_;
  FakeClock* const clock_;
  absl::Duration pass_time_;
  absl::Duration window_time_;
  absl::Duration staging_time_;
  absl::Mutex mutex_;
  std::vector<Pass> passes_ ABSL_GUARDED_BY(mutex_);
  int staged_ ABSL_GUARDED_BY(mutex_) = 0;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int permits_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<absl::Status(size_t)> failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_FAKES_FAKE_MODEL_H_
