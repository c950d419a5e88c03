#include "batching/window_batcher.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "batching/window_batcher_fixture.h"
#include "gmock/gmock.h"

namespace culturetag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

Work RandomWork(std::mt19937& random, float value) {
  Work work = MakeWork(std::vector<float>(1 + random() % 6, value), 50 + 25 * (random() % 3),
                       random() % 2 == 0 ? Priority::kBulk : Priority::kInteractive);
  work.request.client = std::string(1, static_cast<char>('a' + random() % 3));
  return work;
}

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
  model_.SetCost(absl::ZeroDuration(), absl::Milliseconds(1200));  // a fifth longer than predicted
  Outcome outcome;
  Work work = MakeWork({1});
  work.request.deadline = clock_.Now() + absl::Seconds(3);
  ASSERT_TRUE(Submit(work, outcome).ok());
  clock_.WaitForSleepers(1);
  clock_.Advance(absl::Milliseconds(1750));
  EXPECT_TRUE(outcome.Wait().ok());
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_batches_total{close_reason=\"deadline\"} 1"));
}

}  // namespace
}  // namespace culturetag
