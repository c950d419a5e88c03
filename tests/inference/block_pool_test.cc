#include "inference/block_pool.h"

#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr auto kChunk = static_cast<int64_t>(BlockPool::kChunkBytes);

TEST(BlockPoolTest, TakesNothingBeforeTheFirstBlock) {
  const BlockPool pool;
  EXPECT_EQ(pool.usage().allocated, 0);
  EXPECT_EQ(pool.usage().reserved, 0);
}

TEST(BlockPoolTest, CountsBlocksInCacheLinesAndChunksAsAWhole) {
  BlockPool pool;
  void* const block = pool.Allocate(1000);
  EXPECT_EQ(pool.usage().allocated, 1024);
  EXPECT_EQ(pool.usage().reserved, kChunk);
  pool.Free(block);
  EXPECT_EQ(pool.usage().allocated, 0);
  EXPECT_EQ(pool.usage().reserved, kChunk);
}

TEST(BlockPoolTest, AlignsEveryBlockToACacheLine) {
  BlockPool pool;
  std::vector<void*> blocks;
  for (const size_t bytes : {1U, 63U, 64U, 65U, 100000U}) {
    blocks.push_back(pool.Allocate(bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks.back()) % BlockPool::kAlignment, 0U) << bytes;
    std::memset(blocks.back(), 0xA5, bytes);
  }
  for (void* block : blocks) pool.Free(block);
}

TEST(BlockPoolTest, GivesAReturnedBlockToTheNextRequestOfItsSize) {
  BlockPool pool;
  void* const first = pool.Allocate(5 * kMiB);
  void* const second = pool.Allocate(5 * kMiB);
  pool.Free(first);
  EXPECT_EQ(pool.Allocate(5 * kMiB), first);
  pool.Free(first);
  pool.Free(second);
}

TEST(BlockPoolTest, LeavesAloneWhatIsNotItsOwn) {
  BlockPool pool;
  char* const block = static_cast<char*>(pool.Allocate(1000));
  EXPECT_FALSE(pool.Free(block + BlockPool::kAlignment));
  EXPECT_EQ(pool.usage().allocated, 1024);
  EXPECT_TRUE(pool.Free(block));
  EXPECT_FALSE(pool.Free(block));
}

TEST(BlockPoolTest, TakesTheSmallestBlockThatIsLargeEnough) {
  BlockPool pool;
  void* const large = pool.Allocate(9 * kMiB);
  void* const wall = pool.Allocate(kMiB);
  void* const small = pool.Allocate(3 * kMiB);
  void* const end = pool.Allocate(kMiB);
  pool.Free(large);
  pool.Free(small);
  EXPECT_EQ(pool.Allocate(2 * kMiB), small);
  for (void* block : {small, wall, end}) pool.Free(block);
}

TEST(BlockPoolTest, JoinsNeighboursInWhicheverOrderTheyReturn) {
  const std::vector<std::vector<size_t>> orders = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const std::vector<size_t>& order : orders) {
    BlockPool pool;
    std::vector<void*> blocks;
    for (int i = 0; i < 3; ++i) blocks.push_back(pool.Allocate(BlockPool::kChunkBytes / 4));
    for (const size_t i : order) pool.Free(blocks[i]);
    void* const whole = pool.Allocate(BlockPool::kChunkBytes);
    EXPECT_EQ(whole, blocks[0]);
    EXPECT_EQ(pool.usage().reserved, kChunk);
    pool.Free(whole);
  }
}

TEST(BlockPoolTest, TakesAChunkOfItsOwnForABlockThatIsLargerThanOne) {
  BlockPool pool;
  void* const block = pool.Allocate(BlockPool::kChunkBytes + 1);
  EXPECT_EQ(pool.usage().reserved, kChunk + static_cast<int64_t>(2 * kMiB));
  pool.Free(block);
}

TEST(BlockPoolTest, ReturnsNullWhereTheSystemHasNoMemory) {
  BlockPool pool;
  EXPECT_EQ(pool.Allocate(std::numeric_limits<size_t>::max()), nullptr);
  EXPECT_EQ(pool.Allocate(size_t{1} << 60), nullptr);
  EXPECT_EQ(pool.usage().reserved, 0);
}

TEST(BlockPoolTest, DoesNotGrowOverPassesOfEverNewLengths) {
  BlockPool pool;
  std::minstd_rand random(1);
  for (int pass = 0; pass < 1000; ++pass) {
    const size_t unit = 1 + random() % (kMiB / 4);
    void* const output = pool.Allocate(unit * 16);
    void* const next = pool.Allocate(unit * 8);
    pool.Free(output);
    void* const last = pool.Allocate(unit * 4);
    pool.Free(next);
    pool.Free(last);
  }
  EXPECT_EQ(pool.usage().allocated, 0);
  EXPECT_EQ(pool.usage().reserved, kChunk);
}

TEST(BlockPoolTest, BlocksOfManyThreadsDoNotOverlap) {
  BlockPool pool;
  const auto use = [&pool](unsigned char mark) {
    std::minstd_rand random(mark);
    for (int i = 0; i < 200; ++i) {
      const size_t bytes = 1 + random() % 50000;
      auto* const block = static_cast<unsigned char*>(pool.Allocate(bytes));
      std::memset(block, mark, bytes);
      const std::vector<unsigned char> expected(bytes, mark);
      EXPECT_EQ(std::memcmp(block, expected.data(), bytes), 0);
      pool.Free(block);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned char mark = 1; mark <= 4; ++mark) threads.emplace_back(use, mark);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.usage().allocated, 0);
}

}  // namespace
}  // namespace culturetag
