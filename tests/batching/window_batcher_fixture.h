// What the tests of WindowBatcher share: requests, who waits for their scores, and a batcher over fakes.
#ifndef CULTURETAG_TESTS_BATCHING_WINDOW_BATCHER_FIXTURE_H_
#define CULTURETAG_TESTS_BATCHING_WINDOW_BATCHER_FIXTURE_H_

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "batching/window_batcher.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gtest/gtest.h"

namespace culturetag {

// A request's windows, all there from the start.
struct Work {
  ScoringRequest request;
  std::vector<std::vector<float>> windows;
};

inline Work MakeWork(std::vector<float> values, size_t length = 100, Priority priority = Priority::kInteractive) {
  Work work;
  for (const float value : values) work.windows.push_back(FakeWindow(value, length));
  work.request.window_samples = length;
  work.request.priority = priority;
  work.request.expected_windows = static_cast<int64_t>(values.size());
  return work;
}

// What a request's callback was called with: the outputs of all its windows, or the error.
class Outcome {
 public:
  using Outputs = std::map<int64_t, WindowOutput>;

  WindowBatcher::Callback Callback(size_t windows) {
    return [this, windows](absl::StatusOr<ScoredWindow> scored) {
      absl::MutexLock lock(&mutex_);
      if (ended_) {
        ++late_calls_;
        return;
      }
      if (!scored.ok()) {
        result_ = scored.status();
        ended_ = true;
        return;
      }
      if (!result_->emplace(scored->index, std::move(scored->output)).second) ++late_calls_;
      ended_ = result_->size() == windows;
    };
  }
  const absl::StatusOr<Outputs>& Wait() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&ended_));
    EXPECT_EQ(late_calls_, 0);
    return result_;
  }
  void WaitForWindows(size_t count) {
    const auto enough = [this, count] { return result_->size() >= count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
  }
  // For another request, once this one has ended.
  void Reset() {
    absl::MutexLock lock(&mutex_);
    result_ = Outputs();
    ended_ = false;
  }
  bool ended() {
    absl::MutexLock lock(&mutex_);
    return ended_;
  }

 private:
  absl::Mutex mutex_;
  absl::StatusOr<Outputs> result_ = Outputs();
  bool ended_ = false;
  int late_calls_ = 0;
};

inline absl::StatusOr<std::shared_ptr<WindowBatcher::Submission>> Submit(WindowBatcher& batcher, Work work,
                                                                         WindowBatcher::Callback callback,
                                                                         RejectReason* reject) {
  auto submission = batcher.Open(work.request, std::move(callback), reject);
  if (!submission.ok()) return submission;
  batcher.Push(*submission, std::move(work.windows));
  batcher.Close(*submission);
  return submission;
}

// A batcher over a fake model, warm and idle, with batches of at most four windows.
class WindowBatcherTest : public testing::Test {
 protected:
  WindowBatcherTest() { options_.max_batch_windows = 4; }

  void Start() {
    batcher_ = std::make_unique<WindowBatcher>(options_, std::vector<std::vector<TaggingModel*>>{{&model_}}, clock_, metrics_);
    ASSERT_TRUE(batcher_->WaitUntilWarm().ok());
    model_.ForgetPasses();
  }

  // Starts two executors of one window a batch, whose models are held.
  void StartTwoHeld() {
    options_.max_batch_windows = 1;
    batcher_ = std::make_unique<WindowBatcher>(options_, std::vector<std::vector<TaggingModel*>>{{&model_}, {&second_}}, clock_,
                                               metrics_);
    ASSERT_TRUE(batcher_->WaitUntilWarm().ok());
    for (FakeModel* model : {&model_, &second_}) {
      model->ForgetPasses();
      model->Hold();
    }
  }

  // Starts, and keeps the device busy with one window of value 0 until the model is released.
  void StartBusy() {
    Start();
    model_.Hold();
    blocker_submission_ = *Submit(MakeWork({0}), blocker_);
    model_.WaitForPasses(1);
  }

  absl::StatusOr<std::shared_ptr<WindowBatcher::Submission>> Submit(Work work, Outcome& outcome) {
    WindowBatcher::Callback callback = outcome.Callback(work.windows.size());
    return culturetag::Submit(*batcher_, std::move(work), std::move(callback), &reject_);
  }

  std::vector<std::vector<float>> Batches() {
    std::vector<std::vector<float>> batches;
    for (const FakeModel::Pass& pass : model_.passes()) batches.push_back(pass.firsts);
    return batches;
  }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel model_{FakeSpec(), &clock_};
  FakeModel second_{FakeSpec(), &clock_};  // of a second executor
  WindowBatcher::Options options_;
  RejectReason reject_ = RejectReason::kBadAudio;
  Outcome blocker_;
  std::shared_ptr<WindowBatcher::Submission> blocker_submission_;
  std::unique_ptr<WindowBatcher> batcher_;
};

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_BATCHING_WINDOW_BATCHER_FIXTURE_H_
