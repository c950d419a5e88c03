#include "fakes/fake_clock.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

// A thread that awaits `ready` until `deadline`.
struct Waiter {
  Waiter(FakeClock& clock, absl::Time deadline)
      : thread([this, &clock, deadline] {
          absl::MutexLock lock(&mutex);
          condition_held = clock.AwaitUntil(mutex, absl::Condition(&ready), deadline);
          woke_at = clock.Now();
        }) {}
  ~Waiter() {
    if (thread.joinable()) thread.join();
  }

  absl::Mutex mutex;
  bool ready = false;
  bool condition_held = false;
  absl::Time woke_at;
  std::thread thread;  // last: it uses the others
};

TEST(FakeClockTest, StandsStillUntilAdvanced) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Milliseconds(3));
  EXPECT_EQ(clock.Now(), start + absl::Milliseconds(3));
}

TEST(FakeClockTest, AMetConditionDoesNotSleep) {
  FakeClock clock;
  absl::Mutex mutex;
  bool ready = true;
  absl::MutexLock lock(&mutex);
  EXPECT_TRUE(clock.AwaitUntil(mutex, absl::Condition(&ready), absl::InfiniteFuture()));
}

TEST(FakeClockTest, APastDeadlineDoesNotSleep) {
  FakeClock clock;
  absl::Mutex mutex;
  bool ready = false;
  absl::MutexLock lock(&mutex);
  EXPECT_FALSE(clock.AwaitUntil(mutex, absl::Condition(&ready), clock.Now()));
}

TEST(FakeClockTest, WakesAtTheDeadlineAndNotBefore) {
  FakeClock clock;
  const absl::Time deadline = clock.Now() + absl::Milliseconds(10);
  Waiter waiter(clock, deadline);
  clock.WaitForSleepers(1);
  clock.Advance(absl::Milliseconds(9));
  clock.WaitForSleepers(1);  // would not return if the waiter had woken
  clock.Advance(absl::Milliseconds(1));
  waiter.thread.join();
  EXPECT_FALSE(waiter.condition_held);
  EXPECT_EQ(waiter.woke_at, deadline);
}

TEST(FakeClockTest, WakesWhenTheConditionHolds) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  Waiter waiter(clock, absl::InfiniteFuture());
  clock.WaitForSleepers(1);
  {
    absl::MutexLock lock(&waiter.mutex);
    waiter.ready = true;
  }
  waiter.thread.join();
  EXPECT_TRUE(waiter.condition_held);
  EXPECT_EQ(waiter.woke_at, start);
}

TEST(FakeClockTest, WakesOnlyTheSleepersWhoseDeadlineHasCome) {
  FakeClock clock;
  Waiter early(clock, clock.Now() + absl::Milliseconds(1));
  Waiter late(clock, clock.Now() + absl::Milliseconds(2));
  clock.WaitForSleepers(2);
  clock.Advance(absl::Milliseconds(1));
  early.thread.join();
  clock.WaitForSleepers(1);
  clock.Advance(absl::Milliseconds(1));
  late.thread.join();
  EXPECT_EQ(late.woke_at - early.woke_at, absl::Milliseconds(1));
}

// A sleeper that sleeps again and again, as a batching thread does: the test sees each round.
TEST(FakeClockTest, WaitForSleepersSeesASleeperThatReturns) {
  constexpr int kRounds = 1000;
  FakeClock clock;
  absl::Mutex mutex;
  const bool never = false;
  int wakes = 0;
  std::thread thread([&] {
    absl::MutexLock lock(&mutex);
    while (wakes < kRounds) {
      clock.AwaitUntil(mutex, absl::Condition(&never), clock.Now() + absl::Milliseconds(1));
      ++wakes;
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    clock.WaitForSleepers(1);
    {
      absl::MutexLock lock(&mutex);
      EXPECT_EQ(wakes, round);
    }
    clock.Advance(absl::Milliseconds(1));
  }
  thread.join();
  EXPECT_EQ(wakes, kRounds);
}

}  // namespace
}  // namespace culturetag
