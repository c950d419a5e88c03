#include "batching/admission.h"

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

}  // namespace
}  // namespace culturetag
