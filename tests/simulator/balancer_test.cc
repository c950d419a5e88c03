#include "simulator/balancer.h"

#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag::simulator {
namespace {

using testing::Each;
using testing::ElementsAre;

TEST(BalancerTest, GoesRound) {
  const auto balancer = MakeBalancer(BalancerKind::kRoundRobin, 3, 1);
  std::vector<size_t> picks;
  for (int i = 0; i < 4; ++i) {
    picks.push_back(balancer->Pick());
    balancer->Begin(picks.back());
  }
  EXPECT_THAT(picks, ElementsAre(0, 1, 2, 0));
}

TEST(BalancerTest, PicksTheLeastOutstandingAndOfEqualsTheOneThatWaitedLongest) {
  const auto balancer = MakeBalancer(BalancerKind::kLeastOutstanding, 3, 1);
  const auto begin = [&] {
    const size_t pick = balancer->Pick();
    balancer->Begin(pick);
    return pick;
  };
  EXPECT_THAT((std::vector<size_t>{begin(), begin(), begin(), begin()}), ElementsAre(0, 1, 2, 0));
  balancer->End(1);
  EXPECT_EQ(begin(), 1U);
  balancer->End(0);
  balancer->End(1);
  balancer->End(2);
  EXPECT_THAT((std::vector<size_t>{begin(), begin()}), ElementsAre(2, 1));
}

TEST(BalancerTest, DoesNotInsistOnAReplicaThatRefuses) {
  const auto balancer = MakeBalancer(BalancerKind::kLeastOutstanding, 2, 1);
  EXPECT_EQ(balancer->Pick(), 0U);
  EXPECT_EQ(balancer->Pick(), 1U);
}

TEST(BalancerTest, LoadsEvenlyWithTwoDraws) {
  constexpr size_t kReplicas = 100;
  const auto balancer = MakeBalancer(BalancerKind::kRandomOfTwo, kReplicas, 1);
  std::vector<int> outstanding(kReplicas);
  for (size_t i = 0; i < 10 * kReplicas; ++i) {
    const size_t pick = balancer->Pick();
    balancer->Begin(pick);
    ++outstanding[pick];
  }
  // One draw would leave the fullest with about 20.
  EXPECT_LE(*std::max_element(outstanding.begin(), outstanding.end()), 13);
}

}  // namespace
}  // namespace culturetag::simulator
