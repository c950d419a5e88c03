#include "batching/window_batcher.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "base/error_details.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

// A request's windows, all there from the start.
struct Work {
  ScoringRequest request;
  std::vector<std::vector<float>> windows;
};

Work MakeWork(std::vector<float> values, size_t length = 100, Priority priority = Priority::kInteractive) {
  Work work;
  for (const float value : values) work.windows.push_back(FakeWindow(value, length));
  work.request.window_samples = length;
  work.request.priority = priority;
  work.request.expected_windows = static_cast<int64_t>(values.size());
  return work;
}

Work RandomWork(std::mt19937& random, float value) {
  Work work = MakeWork(std::vector<float>(1 + random() % 6, value), 50 + 25 * (random() % 3),
                       random() % 2 == 0 ? Priority::kBulk : Priority::kInteractive);
  work.request.client = std::string(1, static_cast<char>('a' + random() % 3));
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

absl::StatusOr<std::shared_ptr<WindowBatcher::Submission>> Submit(WindowBatcher& batcher, Work work,
                                                                  WindowBatcher::Callback callback, RejectReason* reject) {
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

TEST_F(WindowBatcherTest, GivesEveryWindowItsOwnScores) {
  Start();
  Outcome outcome;
  ASSERT_TRUE(Submit(MakeWork({0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F}), outcome).ok());
  const absl::StatusOr<Outcome::Outputs>& result = outcome.Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->size(), 6U);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_FLOAT_EQ(result->at(static_cast<int64_t>(i)).scores[0], 0.1F * static_cast<float>(i + 1));
    EXPECT_FLOAT_EQ(result->at(static_cast<int64_t>(i)).scores[1], 0.05F * static_cast<float>(i + 1));
  }
}

TEST_F(WindowBatcherTest, PacksTheWindowsOfSeveralRequestsThatCameWhileTheDeviceWasBusy) {
  StartBusy();
  Outcome a, b, c;
  ASSERT_TRUE(Submit(MakeWork({1}), a).ok());
  ASSERT_TRUE(Submit(MakeWork({2, 3}), b).ok());
  ASSERT_TRUE(Submit(MakeWork({4}), c).ok());
  model_.Release();
  for (Outcome* outcome : {&a, &b, &c}) EXPECT_TRUE(outcome->Wait().ok());
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(0), UnorderedElementsAre(1, 2, 3, 4)));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_batches_total{close_reason=\"full\"} 1"));
}

TEST_F(WindowBatcherTest, NeverMixesLengthsInABatch) {
  StartBusy();
  Outcome a, b, c;
  ASSERT_TRUE(Submit(MakeWork({1}, 100), a).ok());
  ASSERT_TRUE(Submit(MakeWork({2}, 50), b).ok());
  ASSERT_TRUE(Submit(MakeWork({3}, 100), c).ok());
  model_.Release();
  for (Outcome* outcome : {&a, &b, &c}) EXPECT_TRUE(outcome->Wait().ok());
  EXPECT_THAT(Batches(), UnorderedElementsAre(ElementsAre(0), ElementsAre(1, 3), ElementsAre(2)));
}

TEST_F(WindowBatcherTest, LetsAShortClipOvertakeALongTrackThatCameFirst) {
  StartBusy();
  Outcome track, clip;
  ASSERT_TRUE(Submit(MakeWork(std::vector<float>(20, 1)), track).ok());
  ASSERT_TRUE(Submit(MakeWork({2}), clip).ok());
  model_.Permit();  // the blocker
  model_.Permit();  // the first batch of the two
  EXPECT_TRUE(clip.Wait().ok());
  EXPECT_FALSE(track.ended());
  EXPECT_THAT(Batches()[1], UnorderedElementsAre(1, 1, 1, 2));
  model_.Release();
  EXPECT_TRUE(track.Wait().ok());
}

TEST_F(WindowBatcherTest, GivesBulkItsShareWhileInteractiveWaitsAndAllOfTheRest) {
  StartBusy();
  Outcome bulk, interactive;
  ASSERT_TRUE(Submit(MakeWork(std::vector<float>(20, 1), 100, Priority::kBulk), bulk).ok());
  ASSERT_TRUE(Submit(MakeWork(std::vector<float>(28, 2)), interactive).ok());
  model_.Release();
  EXPECT_TRUE(bulk.Wait().ok());
  EXPECT_TRUE(interactive.Wait().ok());
  std::vector<float> order;
  for (const std::vector<float>& batch : Batches()) order.insert(order.end(), batch.begin(), batch.end());
  ASSERT_EQ(order.size(), 49U);
  const auto last_interactive = static_cast<size_t>(std::find(order.rbegin(), order.rend(), 2) - order.rbegin());
  const size_t contended = order.size() - last_interactive - 1;  // after the blocker
  const auto bulk_windows = static_cast<double>(std::count(order.begin(), order.begin() + 1 + static_cast<std::ptrdiff_t>(contended), 1.0F));
  EXPECT_NEAR(bulk_windows, static_cast<double>(contended) / 8, 1);
}

TEST_F(WindowBatcherTest, SharesTheDeviceBetweenClientsByWeight) {
  options_.fairness.client_weights = {{"heavy", 3}};
  StartBusy();
  Outcome light, heavy;
  Work light_work = MakeWork(std::vector<float>(40, 1));
  light_work.request.client = "light";
  Work heavy_work = MakeWork(std::vector<float>(40, 2));
  heavy_work.request.client = "heavy";
  ASSERT_TRUE(Submit(light_work, light).ok());
  ASSERT_TRUE(Submit(heavy_work, heavy).ok());
  for (int pass = 0; pass < 7; ++pass) model_.Permit();
  std::vector<FakeModel::Pass> passes = model_.WaitForPasses(7);
  passes.resize(7);  // the blocker and six batches of four; the next may be held already
  int heavy_windows = 0;
  for (const FakeModel::Pass& pass : passes) {
    heavy_windows += static_cast<int>(std::count(pass.firsts.begin(), pass.firsts.end(), 2.0F));
  }
  EXPECT_NEAR(heavy_windows, 18, 1);
  model_.Release();
  EXPECT_TRUE(light.Wait().ok());
  EXPECT_TRUE(heavy.Wait().ok());
}

TEST_F(WindowBatcherTest, TakesACancelledRequestOutAtOnceWhileTheDeviceIsBusy) {
  StartBusy();
  Outcome outcome;
  const auto submission = Submit(MakeWork({1, 2, 3}), outcome);
  ASSERT_TRUE(submission.ok());
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 4);
  batcher_->Cancel(*submission, WasteReason::kCancelled, absl::CancelledError("gone"));
  ASSERT_TRUE(outcome.ended());
  EXPECT_EQ(outcome.Wait().status(), absl::CancelledError("gone"));
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 1);
  model_.Release();
  EXPECT_TRUE(blocker_.Wait().ok());
  EXPECT_TRUE(batcher_->Drain(absl::InfiniteFuture()));
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(0)));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_wasted_windows_total{reason=\"cancelled\"} 0"));
}

TEST_F(WindowBatcherTest, CountsAWindowAsWastedIfItsRequestWasCancelledOnTheDevice) {
  StartBusy();
  batcher_->Cancel(blocker_submission_, WasteReason::kCancelled, absl::CancelledError("gone"));
  EXPECT_EQ(blocker_.Wait().status().code(), absl::StatusCode::kCancelled);
  Outcome next;
  ASSERT_TRUE(Submit(MakeWork({1}), next).ok());
  model_.Release();
  EXPECT_TRUE(next.Wait().ok());
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_wasted_windows_total{reason=\"cancelled\"} 1"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_windows_total 1"));
}

TEST_F(WindowBatcherTest, IgnoresACancellationAfterTheEnd) {
  Start();
  Outcome outcome;
  const auto submission = Submit(MakeWork({1}), outcome);
  ASSERT_TRUE(submission.ok());
  EXPECT_TRUE(outcome.Wait().ok());
  batcher_->Cancel(*submission, WasteReason::kCancelled, absl::CancelledError("late"));
  EXPECT_TRUE(outcome.Wait().ok());
}

TEST_F(WindowBatcherTest, RefusesWhatDoesntFitTheQueueAndSaysWhenToRetry) {
  options_.max_queued_audio = absl::Milliseconds(300);  // three windows
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  StartBusy();
  Outcome fits, refused;
  ASSERT_TRUE(Submit(MakeWork({1, 2}), fits).ok());
  const auto submission = Submit(MakeWork({3}), refused);
  EXPECT_EQ(submission.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(reject_, RejectReason::kQueueFull);
  EXPECT_EQ(RetryDelayOf(submission.status()), absl::Seconds(1));  // one window too many
  EXPECT_FALSE(refused.ended());
  model_.Release();
  EXPECT_TRUE(fits.Wait().ok());
}

TEST_F(WindowBatcherTest, LetsNoBulkWorkKeepInteractiveRequestsOut) {
  options_.max_queued_audio = absl::Milliseconds(300);
  StartBusy();
  Outcome bulk, more_bulk, interactive;
  ASSERT_TRUE(Submit(MakeWork(std::vector<float>(30, 1), 100, Priority::kBulk), bulk).ok());
  EXPECT_EQ(Submit(MakeWork({2}, 100, Priority::kBulk), more_bulk).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Submit(MakeWork({3, 4}), interactive).ok());
  model_.Release();
  EXPECT_TRUE(bulk.Wait().ok());
  EXPECT_TRUE(interactive.Wait().ok());
}

TEST_F(WindowBatcherTest, TakesAMinuteOfWorkOfAFastDeviceIfItIsToldNoBound) {
  model_.SetCost(absl::ZeroDuration(), absl::Microseconds(10));  // 0.1 s of audio in 10 us: a minute's work is 166 hours
  StartBusy();
  Outcome fits;
  Work work = MakeWork({1});
  work.request.expected_windows = 10 * 3600 * 100;  // 100 hours
  const auto submission = batcher_->Open(work.request, fits.Callback(1), &reject_);
  ASSERT_TRUE(submission.ok()) << submission.status();
  work.request.expected_windows = 10 * 3600 * 70;
  EXPECT_EQ(batcher_->Open(work.request, fits.Callback(1), &reject_).status().code(), absl::StatusCode::kResourceExhausted);
  batcher_->Cancel(*submission, WasteReason::kCancelled, absl::CancelledError(""));
  model_.Release();
}

TEST_F(WindowBatcherTest, TakesWhatIsLongerThanTheQueueIfNothingElseWaits) {
  options_.max_queued_audio = absl::Milliseconds(300);
  Start();
  Outcome outcome;
  ASSERT_TRUE(Submit(MakeWork({1, 2, 3, 4, 5}), outcome).ok());
  EXPECT_TRUE(outcome.Wait().ok());
}

TEST_F(WindowBatcherTest, RefusesADeadlineThatItCantMeet) {
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  StartBusy();
  Outcome refused, accepted;
  Work work = MakeWork({1});
  work.request.deadline = clock_.Now() + absl::Milliseconds(1900);  // one window before it and its own: 2 s
  const auto submission = Submit(work, refused);
  EXPECT_EQ(submission.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(reject_, RejectReason::kDeadline);
  EXPECT_EQ(RetryDelayOf(submission.status()), absl::Milliseconds(100));  // then 1.9 s would do
  work.request.deadline = clock_.Now() + absl::Milliseconds(2100);
  EXPECT_TRUE(Submit(work, accepted).ok());
  model_.Release();
  EXPECT_TRUE(accepted.Wait().ok());
}

TEST_F(WindowBatcherTest, CountsOnlyOneTurnOfALongTrackInTheEstimateForAClip) {
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  StartBusy();
  Outcome track, clip;
  ASSERT_TRUE(Submit(MakeWork(std::vector<float>(100, 1)), track).ok());
  Work work = MakeWork({2});
  work.request.deadline = clock_.Now() + absl::Seconds(4);
  EXPECT_TRUE(Submit(work, clip).ok());
  model_.Release();
  EXPECT_TRUE(track.Wait().ok());
}

TEST_F(WindowBatcherTest, EndsWhatExpiresInTheQueueWithoutRunningIt) {
  StartBusy();
  Outcome outcome;
  Work work = MakeWork({1, 2});
  work.request.deadline = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(Submit(work, outcome).ok());
  clock_.Advance(absl::Seconds(1));
  model_.Release();
  EXPECT_EQ(outcome.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(batcher_->Drain(absl::InfiniteFuture()));
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(0)));
}

TEST_F(WindowBatcherTest, RetriesAFailedBatchInHalves) {
  StartBusy();
  std::vector<Outcome> outcomes(4);
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Submit(MakeWork({static_cast<float>(i + 1)}), outcomes[i]).ok());
  model_.FailWith([](size_t windows) { return windows > 2 ? absl::ResourceExhaustedError("no memory") : absl::OkStatus(); });
  model_.Release();
  for (size_t i = 0; i < 4; ++i) {
    const auto& result = outcomes[i].Wait();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FLOAT_EQ(result->at(0).scores[0], static_cast<float>(i + 1));
  }
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(0), ElementsAre(1, 2, 3, 4), ElementsAre(1, 2), ElementsAre(3, 4)));
}

TEST_F(WindowBatcherTest, FailsOnlyTheHalfThatFailsAgainAndGoesOn) {
  StartBusy();
  std::vector<Outcome> outcomes(4);
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Submit(MakeWork({static_cast<float>(i + 1)}), outcomes[i]).ok());
  std::atomic<int> passes{0};
  // The blocker is the first pass from here on, the batch the second, its halves the third and the fourth.
  model_.FailWith([&passes](size_t) {
    const int pass = ++passes;
    return pass == 2 || pass == 3 ? absl::InternalError("lost") : absl::OkStatus();
  });
  model_.Release();
  EXPECT_EQ(outcomes[0].Wait().status(), absl::InternalError("lost"));
  EXPECT_EQ(outcomes[1].Wait().status(), absl::InternalError("lost"));
  EXPECT_TRUE(outcomes[2].Wait().ok());
  EXPECT_TRUE(outcomes[3].Wait().ok());
  Outcome later;
  ASSERT_TRUE(Submit(MakeWork({5}), later).ok());
  EXPECT_TRUE(later.Wait().ok());
}

TEST_F(WindowBatcherTest, SendsSmallerBatchesOnceTheDeviceHadNoMemoryForALargerOne) {
  StartBusy();
  Outcome first, second;
  ASSERT_TRUE(Submit(MakeWork({1, 1, 1, 1}), first).ok());
  model_.FailWith([](size_t windows) { return windows > 2 ? absl::ResourceExhaustedError("no memory") : absl::OkStatus(); });
  model_.Release();
  EXPECT_TRUE(first.Wait().ok());
  model_.ForgetPasses();
  ASSERT_TRUE(Submit(MakeWork({2, 2, 2, 2}), second).ok());
  EXPECT_TRUE(second.Wait().ok());
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(2, 2), ElementsAre(2, 2)));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_max_batch_windows{model=\"fake\"} 2"));
}

TEST_F(WindowBatcherTest, SaysThatTheDeviceIsSickAndProbesItUntilItIsWell) {
  absl::Mutex mutex;
  std::vector<bool> health;
  options_.on_device_health = [&](bool well) {
    absl::MutexLock lock(&mutex);
    health.push_back(well);
  };
  Start();
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  for (int i = 0; i < BatchRunner::kFailuresUntilSick; ++i) {
    Outcome outcome;
    ASSERT_TRUE(Submit(MakeWork({1}), outcome).ok());
    EXPECT_EQ(outcome.Wait().status(), absl::InternalError("lost"));
  }
  clock_.WaitForSleepers(1);
  model_.FailWith(nullptr);
  model_.ForgetPasses();
  clock_.Advance(WindowBatcher::kProbeInterval);
  model_.WaitForPasses(1);
  const auto well_again = [&health] { return health.size() == 2; };
  absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(&well_again));
  EXPECT_EQ(health, (std::vector<bool>{false, true}));
}

TEST_F(WindowBatcherTest, FailsOnlyTheRequestWhoseScoresAreNoNumbers) {
  StartBusy();
  Outcome bad, good;
  ASSERT_TRUE(Submit(MakeWork({std::nanf("")}), bad).ok());
  ASSERT_TRUE(Submit(MakeWork({1}), good).ok());
  model_.Release();
  EXPECT_EQ(bad.Wait().status().code(), absl::StatusCode::kInternal);
  const auto& result = good.Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FLOAT_EQ(result->at(0).scores[0], 1);
}

TEST_F(WindowBatcherTest, SurvivesAModelThatThrows) {
  Start();
  model_.FailWith([](size_t) -> absl::Status { throw std::runtime_error("device lost"); });
  Outcome outcome;
  ASSERT_TRUE(Submit(MakeWork({1, 2}), outcome).ok());
  EXPECT_EQ(outcome.Wait().status(), absl::InternalError("the model failed: device lost"));
  model_.FailWith(nullptr);
  Outcome next;
  ASSERT_TRUE(Submit(MakeWork({3}), next).ok());
  EXPECT_TRUE(next.Wait().ok());
}

TEST_F(WindowBatcherTest, WaitsForAFullerBatchIfItIsToldTo) {
  options_.max_queue_delay = absl::Milliseconds(50);
  Start();
  Outcome a, b;
  ASSERT_TRUE(Submit(MakeWork({1}), a).ok());
  clock_.WaitForSleepers(1);
  clock_.Advance(absl::Milliseconds(49));
  clock_.WaitForSleepers(1);
  EXPECT_TRUE(Batches().empty());
  ASSERT_TRUE(Submit(MakeWork({2}), b).ok());
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(a.Wait().ok());
  EXPECT_TRUE(b.Wait().ok());
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(1, 2)));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_batches_total{close_reason=\"delay\"} 1"));
}

TEST_F(WindowBatcherTest, SendsAFullBatchBeforeTheDelayHasPassed) {
  options_.max_queue_delay = absl::Hours(1);
  Start();
  Outcome outcome;
  ASSERT_TRUE(Submit(MakeWork({1, 2, 3, 4}), outcome).ok());
  EXPECT_TRUE(outcome.Wait().ok());
}

TEST_F(WindowBatcherTest, ReportsWhatWaits) {
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  StartBusy();
  Outcome outcome;
  ASSERT_TRUE(Submit(MakeWork({1, 2}), outcome).ok());
  clock_.Advance(absl::Seconds(7));
  const QueueSnapshot snapshot = batcher_->Snapshot();
  EXPECT_EQ(snapshot.pending_windows, 3);
  EXPECT_EQ(snapshot.pending_audio, absl::Milliseconds(300));
  EXPECT_EQ(snapshot.oldest_pending, absl::Seconds(7));
  EXPECT_EQ(snapshot.estimated_wait, absl::Seconds(3));
  model_.Release();
  EXPECT_TRUE(outcome.Wait().ok());
}

TEST_F(WindowBatcherTest, FinishesWhatIsQueuedAndRefusesTheRestWhileDraining) {
  StartBusy();
  Outcome queued, refused;
  ASSERT_TRUE(Submit(MakeWork({1, 2}), queued).ok());
  std::thread drain([this] { EXPECT_TRUE(batcher_->Drain(absl::InfiniteFuture())); });
  clock_.WaitForSleepers(1);
  EXPECT_EQ(Submit(MakeWork({3}), refused).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(reject_, RejectReason::kDraining);
  model_.Release();
  drain.join();
  EXPECT_TRUE(queued.Wait().ok());
}

TEST_F(WindowBatcherTest, CutsOffWhatIsLeftWhenTheDrainTimesOut) {
  StartBusy();
  Outcome queued;
  ASSERT_TRUE(Submit(MakeWork({1, 2}), queued).ok());
  EXPECT_FALSE(batcher_->Drain(clock_.Now()));
  EXPECT_EQ(queued.Wait().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(blocker_.Wait().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
  model_.Release();
}

TEST_F(WindowBatcherTest, ReportsAModelThatCantBeWarmed) {
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  batcher_ = std::make_unique<WindowBatcher>(options_, std::vector<std::vector<TaggingModel*>>{{&model_}}, clock_, metrics_);
  EXPECT_EQ(batcher_->WaitUntilWarm().status(), absl::InternalError("lost"));
}

TEST_F(WindowBatcherTest, KeepsModelsApart) {
  FakeModel other(FakeSpec("other"), &clock_);
  batcher_ = std::make_unique<WindowBatcher>(options_, std::vector<std::vector<TaggingModel*>>{{&model_, &other}}, clock_, metrics_);
  ASSERT_TRUE(batcher_->WaitUntilWarm().ok());
  model_.ForgetPasses();
  other.ForgetPasses();
  model_.Hold();
  Outcome a, b, c;
  ASSERT_TRUE(Submit(MakeWork({1}), a).ok());
  model_.WaitForPasses(1);
  Work second = MakeWork({2});
  second.request.model = 1;
  ASSERT_TRUE(Submit(second, b).ok());
  ASSERT_TRUE(Submit(MakeWork({3}), c).ok());
  model_.Release();
  for (Outcome* outcome : {&a, &b, &c}) EXPECT_TRUE(outcome->Wait().ok());
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(1), ElementsAre(3)));
  ASSERT_EQ(other.passes().size(), 1U);
  EXPECT_THAT(other.passes()[0].firsts, ElementsAre(2));
}

// Many threads push and cancel at random; every window is called back for once, or the request ends with one error.
TEST_F(WindowBatcherTest, CallsBackExactlyOnceUnderConcurrentSubmissionsAndCancellations) {
  constexpr int kThreads = 4;
  constexpr int kRequests = 200;
  Start();
  std::vector<std::unique_ptr<Outcome>> outcomes(kThreads * kRequests);
  for (auto& outcome : outcomes) outcome = std::make_unique<Outcome>();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < kRequests; ++i) {
        Work work = RandomWork(random, 0.5F);
        Outcome& outcome = *outcomes[static_cast<size_t>(t * kRequests + i)];
        RejectReason reject;
        WindowBatcher::Callback callback = outcome.Callback(work.windows.size());
        const auto submission = culturetag::Submit(*batcher_, std::move(work), std::move(callback), &reject);
        if (!submission.ok()) {
          ++wrong;
        } else if (random() % 3 == 0) {
          batcher_->Cancel(*submission, WasteReason::kCancelled, absl::CancelledError(""));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& outcome : outcomes) {
    const auto& result = outcome->Wait();
    if (!result.ok() && !absl::IsCancelled(result.status())) ++wrong;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(batcher_->Drain(absl::InfiniteFuture()));
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
  EXPECT_EQ(batcher_->Snapshot().pending_audio, absl::ZeroDuration());
  for (const FakeModel::Pass& pass : model_.passes()) EXPECT_LE(pass.firsts.size(), 4U);
}

TEST_F(WindowBatcherTest, TakesWindowsAsTheyCome) {
  Start();
  Outcome outcome;
  ScoringRequest request;
  request.window_samples = 100;
  const auto stream = batcher_->Open(request, outcome.Callback(3), &reject_);
  ASSERT_TRUE(stream.ok()) << stream.status();
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
    batcher_->Push(*stream, {FakeWindow(static_cast<float>(i))});
    outcome.WaitForWindows(i);
  }
  batcher_->Close(*stream);
  const auto& result = outcome.Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  for (int64_t i = 0; i < 3; ++i) EXPECT_FLOAT_EQ(result->at(i).scores[0], static_cast<float>(i + 1));
  EXPECT_TRUE(batcher_->Drain(absl::InfiniteFuture()));
}

TEST_F(WindowBatcherTest, CountsTheAnnouncedWindowsOfATrackAsPendingBeforeTheyAreThere) {
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  StartBusy();
  Outcome track, clip;
  Work work = MakeWork({1, 2});
  work.request.expected_windows = 50;
  const auto submission = batcher_->Open(work.request, track.Callback(2), &reject_);
  ASSERT_TRUE(submission.ok());
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 51);
  EXPECT_EQ(batcher_->Snapshot().estimated_wait, absl::Seconds(51));
  batcher_->Push(*submission, work.windows);
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 51);
  batcher_->Close(*submission);  // it was shorter than its header said
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 3);
  model_.Release();
  EXPECT_TRUE(track.Wait().ok());
}

TEST_F(WindowBatcherTest, NeverRefusesAStreamOfUnknownLengthForAFullQueue) {
  options_.max_queued_audio = absl::Milliseconds(100);
  StartBusy();
  Outcome outcome;
  ScoringRequest request;
  request.window_samples = 100;
  const auto stream = batcher_->Open(request, outcome.Callback(1), &reject_);
  ASSERT_TRUE(stream.ok()) << stream.status();
  batcher_->Push(*stream, {FakeWindow(1)});
  batcher_->Close(*stream);
  model_.Release();
  EXPECT_TRUE(outcome.Wait().ok());
}

TEST_F(WindowBatcherTest, GivesHiddenStatesToThoseWhoWantThem) {
  StartBusy();
  Outcome with, without;
  Work work = MakeWork({7});
  work.request.hidden_states = true;
  ASSERT_TRUE(Submit(work, with).ok());
  ASSERT_TRUE(Submit(MakeWork({8}), without).ok());
  model_.Release();
  ASSERT_TRUE(with.Wait().ok());
  EXPECT_THAT(with.Wait()->at(0).hidden_states, ElementsAre(7));
  EXPECT_TRUE(without.Wait().ok());
}

TEST_F(WindowBatcherTest, PutsTheNextBatchTogetherShortlyBeforeThePresentOneEnds) {
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  model_.SetStagingTime(absl::Milliseconds(50));
  options_.max_batch_windows = 1;
  Start();
  Outcome first;
  ASSERT_TRUE(Submit(MakeWork({1}), first).ok());  // teaches it what staging takes
  EXPECT_TRUE(first.Wait().ok());
  model_.Hold();
  Outcome second, third;
  model_.ForgetPasses();
  ASSERT_TRUE(Submit(MakeWork({2}), second).ok());
  model_.WaitForPasses(1);
  const int staged = model_.staged();
  ASSERT_TRUE(Submit(MakeWork({3}), third).ok());
  clock_.WaitForSleepers(1);  // the second pass is expected to take a second: there is time
  EXPECT_EQ(model_.staged(), staged);
  clock_.Advance(absl::Milliseconds(900));
  model_.WaitForStaged(staged + 1);
  EXPECT_FALSE(second.ended());
  model_.Release();
  EXPECT_TRUE(second.Wait().ok());
  EXPECT_TRUE(third.Wait().ok());
}

TEST_F(WindowBatcherTest, ClosesADelayedBatchInTimeForADeadline) {
  options_.max_queue_delay = absl::Seconds(10);
  model_.SetCost(absl::ZeroDuration(), absl::Seconds(1));
  Start();
  Outcome outcome;
  Work work = MakeWork({1});
  work.request.deadline = clock_.Now() + absl::Seconds(3);
  ASSERT_TRUE(Submit(work, outcome).ok());
  clock_.WaitForSleepers(1);
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(outcome.Wait().ok());
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_batches_total{close_reason=\"deadline\"} 1"));
}

TEST_F(WindowBatcherTest, RunsSeveralExecutorsSideBySide) {
  StartTwoHeld();
  Outcome a, b;
  ASSERT_TRUE(Submit(MakeWork({1}), a).ok());
  ASSERT_TRUE(Submit(MakeWork({2}), b).ok());
  model_.WaitForPasses(1);  // both are on a device though neither has ended
  second_.WaitForPasses(1);
  model_.Release();
  second_.Release();
  EXPECT_TRUE(a.Wait().ok());
  EXPECT_TRUE(b.Wait().ok());
}

TEST_F(WindowBatcherTest, GivesASickExecutorNoWorkWhileAnotherIsWell) {
  bool said_sick = false;
  options_.on_device_health = [&](bool) { said_sick = true; };
  StartTwoHeld();
  Outcome a, b;
  ASSERT_TRUE(Submit(MakeWork({1}), a).ok());
  ASSERT_TRUE(Submit(MakeWork({1}), b).ok());
  model_.WaitForPasses(1);
  second_.WaitForPasses(1);
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  model_.Release();  // the second stays busy: what comes now is the first's
  for (int i = 1; i < BatchRunner::kFailuresUntilSick; ++i) {
    Outcome outcome;
    ASSERT_TRUE(Submit(MakeWork({1}), outcome).ok());
    EXPECT_EQ(outcome.Wait().status(), absl::InternalError("lost"));
  }
  Outcome spared;
  ASSERT_TRUE(Submit(MakeWork({2}), spared).ok());
  second_.Release();
  EXPECT_TRUE(spared.Wait().ok());
  a.Wait();
  b.Wait();
  EXPECT_FALSE(said_sick);
}

}  // namespace
}  // namespace culturetag
