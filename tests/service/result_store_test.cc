#include "service/result_store.h"

#include <utility>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

constexpr int64_t kRoom = 1000;
constexpr int64_t kThird = 200;  // three such results fit, with what each takes besides, and no fourth

std::shared_ptr<const int> Of(int value) { return std::make_shared<const int>(value); }

TEST(ResultStoreTest, FindsWhatWasPut) {
  ResultStore<int> store(kRoom);
  EXPECT_EQ(store.Get("a"), nullptr);
  store.Put("a", Of(1), kThird);
  store.Put("b", Of(2), kThird);
  EXPECT_EQ(*store.Get("a"), 1);
  EXPECT_EQ(*store.Get("b"), 2);
}

TEST(ResultStoreTest, LetsTheOneGoThatWasNotAskedForTheLongest) {
  ResultStore<int> store(kRoom);
  EXPECT_EQ(store.Put("a", Of(1), kThird), 0);
  EXPECT_EQ(store.Put("b", Of(2), kThird), 0);
  EXPECT_EQ(store.Put("c", Of(3), kThird), 0);
  store.Get("a");
  EXPECT_EQ(store.Put("d", Of(4), kThird), 1);
  EXPECT_EQ(store.Get("b"), nullptr);
  for (const char* key : {"a", "c", "d"}) EXPECT_NE(store.Get(key), nullptr) << key;
}

TEST(ResultStoreTest, NeverHoldsMoreThanItMay) {
  ResultStore<int> store(kRoom);
  int evicted = 0;
  for (int i = 0; i < 100; ++i) {
    evicted += store.Put(std::to_string(i), Of(i), 1 + 37 * (i % 10));
    EXPECT_GT(store.bytes(), 0);
    EXPECT_LE(store.bytes(), kRoom);
  }
  EXPECT_GT(evicted, 80);
}

TEST(ResultStoreTest, DoesNotEmptyItselfForOneThatNeverFits) {
  ResultStore<int> store(kRoom);
  store.Put("a", Of(1), kThird);
  EXPECT_EQ(store.Put("huge", Of(2), kRoom), 0);
  EXPECT_EQ(store.Get("huge"), nullptr);
  EXPECT_EQ(*store.Get("a"), 1);
}

TEST(ResultStoreTest, LeavesAResultToWhoeverHasIt) {
  ResultStore<int> store(kRoom);
  store.Put("a", Of(1), kThird);
  const auto result = store.Get("a");
  for (int i = 0; i < 10; ++i) store.Put(std::to_string(i), Of(i), kThird);
  EXPECT_EQ(store.Get("a"), nullptr);
  EXPECT_EQ(*result, 1);
}

}  // namespace
}  // namespace culturetag
