#include "base/byte_budget.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

TEST(ByteBudgetTest, GivesOutNoMoreThanItHas) {
  ByteBudget budget(100);
  EXPECT_TRUE(budget.TryTake(60));
  EXPECT_FALSE(budget.TryTake(41));
  EXPECT_TRUE(budget.TryTake(40));
  EXPECT_TRUE(budget.TryTake(0));
  EXPECT_FALSE(budget.TryTake(1));
  budget.Give(60);
  EXPECT_TRUE(budget.TryTake(60));
}

TEST(ByteBudgetTest, KeepsItsAccountBetweenThreads) {
  ByteBudget budget(10);
  std::atomic<int64_t> taken{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        if (!budget.TryTake(3)) continue;
        if (taken.fetch_add(3) + 3 > 10) exceeded = true;
        taken.fetch_sub(3);
        budget.Give(3);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(budget.left(), 10);
}

}  // namespace
}  // namespace culturetag
