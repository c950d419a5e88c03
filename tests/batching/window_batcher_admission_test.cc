// What the batcher takes, refuses and lets go: the bound on the queue, deadlines, the drain.
#include <thread>
#include <vector>

#include "base/error_details.h"
#include "batching/window_batcher_fixture.h"
#include "gmock/gmock.h"

namespace culturetag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

TEST_F(WindowBatcherTest, TakesWhatExpiresOutAtOnceWhileTheDeviceIsBusy) {
  StartBusy();
  Outcome outcome;
  Work work = MakeWork({1, 2, 3});
  work.request.deadline = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(Submit(work, outcome).ok());
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 4);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(outcome.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 1);
  model_.Release();
  EXPECT_TRUE(batcher_->Drain(absl::InfiniteFuture()));
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(0)));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_wasted_windows_total{reason=\"expired\"} 0"));
}

TEST_F(WindowBatcherTest, KeepsToADeadlineThatComesLaterAndIsEarlier) {
  StartBusy();
  Outcome patient, hasty;
  Work work = MakeWork({1});
  work.request.deadline = clock_.Now() + absl::Seconds(10);
  ASSERT_TRUE(Submit(work, patient).ok());
  clock_.WaitForSleepers(1);
  work.request.deadline = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(Submit(work, hasty).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(hasty.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(patient.ended());
  model_.Release();
  EXPECT_TRUE(patient.Wait().ok());
}

TEST_F(WindowBatcherTest, CountsAWindowAsWastedIfItExpiredOnTheDevice) {
  Start();
  model_.Hold();
  Outcome late, next;
  Work work = MakeWork({1});
  work.request.deadline = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(Submit(work, late).ok());
  model_.WaitForPasses(1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(late.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(Submit(MakeWork({2}), next).ok());
  model_.Release();
  EXPECT_TRUE(next.Wait().ok());
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_wasted_windows_total{reason=\"expired\"} 1"));
}

TEST_F(WindowBatcherTest, TakesWhatItCanDoRightAfterAnOverload) {
  model_.SetCost(absl::ZeroDuration(), absl::Milliseconds(50));
  StartBusy();
  std::vector<Outcome> late(40);
  Work work = MakeWork({1});
  for (Outcome& outcome : late) {
    work.request.deadline = clock_.Now() + absl::Hours(1);
    ASSERT_TRUE(Submit(work, outcome).ok());
  }
  clock_.Advance(absl::Hours(1));
  for (Outcome& outcome : late) EXPECT_FALSE(outcome.Wait().ok());
  model_.Release();
  EXPECT_TRUE(blocker_.Wait().ok());
  Outcome outcome;
  work.request.deadline = clock_.Now() + absl::Seconds(1);
  ASSERT_TRUE(Submit(work, outcome).ok());
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

}  // namespace
}  // namespace culturetag
