#include "batching/admission.h"

#include <vector>

#include "base/error_details.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

// A request that is admitted with 1 s of audio and half a second to spare.
AdmissionCase Admissible() {
  AdmissionCase request;
  request.pending_audio = absl::Seconds(59);
  request.max_queued_audio = absl::Seconds(60);
  request.audio = absl::Seconds(1);
  request.completion = absl::Milliseconds(1500);
  request.time_left = absl::Seconds(2);
  return request;
}

TEST(AdmissionTest, TakesWhatFitsAndCanBeDoneInTime) {
  RejectReason reject;
  EXPECT_EQ(Admit(Admissible(), &reject), absl::OkStatus());
  AdmissionCase no_deadline = Admissible();
  no_deadline.time_left = absl::InfiniteDuration();
  EXPECT_EQ(Admit(no_deadline, &reject), absl::OkStatus());
}

TEST(AdmissionTest, RefusesWhatDoesntFitUntilTheExcessIsWorkedOff) {
  AdmissionCase request = Admissible();
  request.audio = absl::Milliseconds(1001);
  request.excess_time = absl::Milliseconds(700);
  RejectReason reject;
  const absl::Status status = Admit(request, &reject);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(reject, RejectReason::kQueueFull);
  EXPECT_EQ(RetryDelayOf(status), absl::Milliseconds(700));
}

TEST(AdmissionTest, NeverAsksForARetryAtOnce) {
  AdmissionCase request = Admissible();
  request.audio = absl::Seconds(2);
  request.excess_time = absl::Microseconds(3);
  RejectReason reject;
  EXPECT_EQ(RetryDelayOf(Admit(request, &reject)), absl::Milliseconds(100));
}

TEST(AdmissionTest, TakesAnythingIntoAnEmptyQueue) {
  AdmissionCase request = Admissible();
  request.pending_audio = absl::ZeroDuration();
  request.audio = absl::Hours(3);
  RejectReason reject;
  EXPECT_EQ(Admit(request, &reject), absl::OkStatus());
}

TEST(AdmissionTest, RefusesADeadlineThatTheEstimateMisses) {
  AdmissionCase request = Admissible();
  request.completion = absl::Milliseconds(2750);
  RejectReason reject;
  const absl::Status status = Admit(request, &reject);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(reject, RejectReason::kDeadline);
  EXPECT_EQ(RetryDelayOf(status), absl::Milliseconds(750));
}

// A request of a window of 1 s that takes a device 100 ms, after estimates turned out too short again and again.
class AdmissionCaseTest : public testing::Test {
 protected:
  AdmissionCaseTest() {
    cost_.Observe({0, 1000}, 1, absl::Milliseconds(100));
    for (int i = 0; i < 100; ++i) correction_.Observe(absl::Seconds(1), absl::InfiniteDuration());
  }
  AdmissionCase Make(absl::Duration max_queued_audio = absl::Seconds(60)) {
    return MakeAdmissionCase({{0, 1000}, "me", Priority::kInteractive, 1, absl::Seconds(1)}, absl::Seconds(9), max_queued_audio,
                             {queue_, cost_, batches_, pending_, correction_, 1, absl::Milliseconds(7)});
  }

  FairQueue queue_{{}};
  CostModel cost_;
  std::vector<FullBatch> batches_{{{0, 1000}, absl::Seconds(1), 1}};
  PendingWork pending_;
  EstimateCorrection correction_;
  FairQueue::Entry other_{{0, 1000}, "you", Priority::kInteractive, absl::Seconds(1)};
};

TEST_F(AdmissionCaseTest, CorrectsTheEstimateWhileOthersArePending) {
  pending_.Add(other_, 3);
  const AdmissionCase made = Make();
  EXPECT_EQ(made.estimate, absl::Milliseconds(107));
  EXPECT_EQ(made.completion, correction_.Corrected(absl::Milliseconds(107)));
  EXPECT_GT(made.completion, absl::Seconds(2));
  EXPECT_EQ(made.pending_audio, absl::Seconds(3));
}

TEST_F(AdmissionCaseTest, TakesTheEstimateAsItIsForTheFirstRequest) {
  EXPECT_EQ(Make().completion, absl::Milliseconds(107));
  pending_.Add(other_, 3);
  pending_.Add(other_, -3);
  EXPECT_EQ(Make().completion, absl::Milliseconds(107));
}

TEST_F(AdmissionCaseTest, TellsHowLongTheDeviceTakesForWhatIsTooMuch) {
  pending_.Add(other_, 3);
  EXPECT_EQ(Make(absl::Seconds(2)).excess_time, absl::Milliseconds(200));
}

}  // namespace
}  // namespace culturetag
