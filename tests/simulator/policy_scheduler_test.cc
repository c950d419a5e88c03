#include "simulator/policy_scheduler.h"

#include <string>

#include "gtest/gtest.h"
#include "simulator/arrivals.h"

namespace culturetag::simulator {
namespace {

// Batches of at most four, a window in 100 ms.
class PolicySchedulerTest : public testing::Test {
 protected:
  PolicySchedulerTest() {
    PolicyScheduler::Options options;
    options.max_batch_windows = 4;
    options.max_queued_audio = absl::Seconds(100);
    scheduler_.emplace(options, AffineCurve({}, absl::Milliseconds(100)));
  }

  std::shared_ptr<Request> Offer(const Arrival& arrival) {
    const auto request = std::make_shared<Request>(arrival);
    request->outcome = scheduler_->Offer(request, arrival.time);
    return request;
  }

  std::string TakeBatch(double at) {
    std::string clients;
    last_ = scheduler_->TakeBatch(At(at));
    for (const auto& request : last_) clients += request->client();
    return clients;
  }

  absl::optional<PolicyScheduler> scheduler_;
  Batch last_;
};

TEST_F(PolicySchedulerTest, LetsClientsTakeTurns) {
  const auto a = Offer(Arrive(0, "a", 15)), b = Offer(Arrive(0, "b", 15));
  EXPECT_EQ(TakeBatch(0), "abab");
  EXPECT_EQ(TakeBatch(0), "ab");
  EXPECT_EQ(TakeBatch(0), "");
  EXPECT_EQ(scheduler_->NextDecision(), absl::InfiniteFuture());
}

TEST_F(PolicySchedulerTest, NeverMixesLengths) {
  const auto a = Offer(Arrive(0, "a", 5)), b = Offer(Arrive(0, "b", 2)), c = Offer(Arrive(0, "c", 5));
  EXPECT_EQ(TakeBatch(0), "b");
  EXPECT_EQ(TakeBatch(0), "ac");
}

TEST_F(PolicySchedulerTest, FreesTheSlotsOfACancelledRequestAtOnce) {
  const auto a = Offer(Arrive(0, "a", 5)), b = Offer(Arrive(0, "b", 90));
  EXPECT_EQ(Offer(Arrive(0, "c", 10))->outcome, Outcome::kQueueFull);
  scheduler_->Abandon(*b, At(0));
  b->outcome = Outcome::kCancelled;
  const auto c = Offer(Arrive(0, "c", 10));
  EXPECT_EQ(c->outcome, Outcome::kPending);
  EXPECT_EQ(TakeBatch(0), "acc");
}

TEST_F(PolicySchedulerTest, RefusesWhatItCannotDoInTime) {
  Arrival late = Arrive(0, "a", 50);
  late.deadline = absl::Milliseconds(900);
  EXPECT_EQ(Offer(late)->outcome, Outcome::kDeadline);  // ten windows take a second
  late.deadline = absl::Seconds(10);
  EXPECT_EQ(Offer(late)->outcome, Outcome::kPending);
}

TEST_F(PolicySchedulerTest, CountsAudioUntilItIsScored) {
  const auto a = Offer(Arrive(0, "a", 100));
  EXPECT_EQ(TakeBatch(0), "aaaa");
  EXPECT_EQ(Offer(Arrive(0.1, "b", 20))->outcome, Outcome::kQueueFull);
  scheduler_->Finish(last_, absl::Milliseconds(400));
  EXPECT_EQ(Offer(Arrive(0.4, "b", 20))->outcome, Outcome::kPending);
}

}  // namespace
}  // namespace culturetag::simulator
