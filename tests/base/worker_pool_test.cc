#include "base/worker_pool.h"

#include <atomic>
#include <memory>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

TEST(WorkerPoolTest, RunsWhatItAccepts) {
  absl::BlockingCounter done(10);
  WorkerPool pool(2, 10);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(pool.TrySchedule([&done] { done.DecrementCount(); }));
  }
  done.Wait();
}

TEST(WorkerPoolTest, RunsAsManyPiecesAtOnceAsItHasThreads) {
  constexpr int kThreads = 3;
  absl::BlockingCounter all_run(kThreads);  // would never reach zero if one piece had to end before the next
  absl::Notification end;
  WorkerPool pool(kThreads, kThreads);
  for (int i = 0; i < kThreads; ++i) {
    ASSERT_TRUE(pool.TrySchedule([&] {
      all_run.DecrementCount();
      end.WaitForNotification();
    }));
  }
  all_run.Wait();
  end.Notify();
}

// A pool of one thread, which is busy until `release` is notified.
class BusyPool {
 public:
  explicit BusyPool(int max_queued) : pool(1, max_queued) {
    absl::Notification busy;
    EXPECT_TRUE(pool.TrySchedule([this, &busy] {
      busy.Notify();
      release.WaitForNotification();
    }));
    busy.WaitForNotification();
  }
  ~BusyPool() {
    if (!release.HasBeenNotified()) release.Notify();
  }

  absl::Notification release;
  WorkerPool pool;
};

TEST(WorkerPoolTest, RefusesWhatExceedsItsQueueAndLeavesItUntouched) {
  int runs = 0;
  {
    BusyPool busy(2);
    EXPECT_TRUE(busy.pool.TrySchedule([&runs] { ++runs; }));
    EXPECT_TRUE(busy.pool.TrySchedule([&runs] { ++runs; }));
    WorkerPool::Work refused = [&runs] { runs += 100; };
    EXPECT_FALSE(busy.pool.TrySchedule(std::move(refused)));
    ASSERT_TRUE(static_cast<bool>(refused));
    std::move(refused)();
  }
  EXPECT_EQ(runs, 102);
}

TEST(WorkerPoolTest, RunsWhatItAcceptedBeforeItIsDestroyed) {
  std::atomic<int> runs{0};
  {
    BusyPool busy(100);
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(busy.pool.TrySchedule([&runs] { ++runs; }));
    }
    EXPECT_EQ(runs, 0);
  }
  EXPECT_EQ(runs, 100);
}

TEST(WorkerPoolTest, KeepsTheOrderOfOneThread) {
  std::vector<int> order;
  {
    BusyPool busy(5);
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(busy.pool.TrySchedule([&order, i] { order.push_back(i); }));
    }
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(WorkerPoolTest, RunsWorkThatCannotBeCopied) {
  int result = 0;
  {
    WorkerPool pool(1, 1);
    auto value = std::make_unique<int>(7);
    ASSERT_TRUE(pool.TrySchedule([&result, value = std::move(value)] { result = *value; }));
  }
  EXPECT_EQ(result, 7);
}

TEST(WorkerPoolTest, DestroysWorkOnceItHasRun) {
  const auto token = std::make_shared<int>(0);
  long owners_at_second = 0;
  {
    WorkerPool pool(1, 2);
    ASSERT_TRUE(pool.TrySchedule([token] {}));
    ASSERT_TRUE(pool.TrySchedule([&] { owners_at_second = token.use_count(); }));
  }
  EXPECT_EQ(owners_at_second, 1);
}

}  // namespace
}  // namespace culturetag
