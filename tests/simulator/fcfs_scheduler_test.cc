#include "simulator/fcfs_scheduler.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/arrivals.h"

namespace culturetag::simulator {
namespace {

// The clients of a batch's windows, in their order.
std::string Clients(const Batch& batch) {
  std::string clients;
  for (const auto& request : batch) clients += request->client();
  return clients;
}

class FcfsSchedulerTest : public testing::Test {
 protected:
  FcfsSchedulerTest() {
    options_.max_batch_windows = 4;
    options_.max_queue_delay = absl::Milliseconds(100);
    options_.max_queued_audio = absl::Seconds(100);
  }

  static std::shared_ptr<Request> Offer(FcfsScheduler& scheduler, double at, const std::string& client, double audio) {
    const auto request = MakeRequest(at, client, audio);
    request->outcome = scheduler.Offer(request, At(at));
    return request;
  }

  FcfsScheduler::Options options_;
};

TEST_F(FcfsSchedulerTest, WaitsForAFullerBatchAsLongAsItsDelay) {
  FcfsScheduler scheduler(options_);
  EXPECT_EQ(scheduler.NextDecision(), absl::InfiniteFuture());
  Offer(scheduler, 1, "a", 5);
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1.05))), "");
  EXPECT_EQ(scheduler.NextDecision(), At(1.1));
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1.1))), "a");
}

TEST_F(FcfsSchedulerTest, SendsAFullBatchAtOnceInTheOrderOfArrival) {
  FcfsScheduler scheduler(options_);
  Offer(scheduler, 1, "a", 15);
  Offer(scheduler, 1, "b", 15);
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1))), "aaab");
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1.1))), "bb");
}

TEST_F(FcfsSchedulerTest, SendsWhatStandsBeforeAnotherLengthHoweverLittle) {
  FcfsScheduler scheduler(options_);
  Offer(scheduler, 1, "a", 5);
  Offer(scheduler, 1, "b", 2);
  Offer(scheduler, 1, "c", 5);
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1))), "a");
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1))), "b");
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1))), "");
}

TEST_F(FcfsSchedulerTest, DoesNotWaitBeyondThePreferredBatch) {
  options_.preferred_batch_windows = 2;
  FcfsScheduler scheduler(options_);
  Offer(scheduler, 1, "a", 10);
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1))), "aa");
}

TEST_F(FcfsSchedulerTest, KeepsAPlaceForACancelledRequestUntilItsTurn) {
  FcfsScheduler scheduler(options_);
  Offer(scheduler, 1, "a", 20);
  const auto b = Offer(scheduler, 1, "b", 50);
  b->outcome = Outcome::kCancelled;
  scheduler.Abandon(*b, At(1));
  EXPECT_EQ(Offer(scheduler, 1, "c", 35)->outcome, Outcome::kQueueFull);
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1))), "aaaa");
  EXPECT_EQ(Clients(scheduler.TakeBatch(At(1))), "");
  EXPECT_EQ(Offer(scheduler, 1, "c", 35)->outcome, Outcome::kPending);
}

TEST_F(FcfsSchedulerTest, HoldsNoMoreAudioThanItMayAndTakesAnythingIfEmpty) {
  FcfsScheduler scheduler(options_);
  EXPECT_EQ(Offer(scheduler, 1, "a", 300)->outcome, Outcome::kPending);
  EXPECT_EQ(Offer(scheduler, 1, "b", 1)->outcome, Outcome::kQueueFull);
  for (int i = 0; i < 12; ++i) scheduler.Finish(scheduler.TakeBatch(At(2)), {});
  EXPECT_EQ(Offer(scheduler, 2, "b", 25)->outcome, Outcome::kPending);
}

}  // namespace
}  // namespace culturetag::simulator
