#include "client/bench/rate_search.h"

#include <vector>

#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

double Search(double start, double capacity) {
  return FindHighestRate(start, [capacity](double rate) { return rate <= capacity; });
}

TEST(FindHighestRateTest, FindsTheCapacityToWithinFivePercentFromEitherSide) {
  for (const double start : {1.0, 10.0, 1000.0}) {
    const double found = Search(start, 123);
    EXPECT_LE(found, 123);
    EXPECT_GE(found, 123 / 1.05);
  }
}

TEST(FindHighestRateTest, GivesUpOnAServerThatKeepsNoneOrAny) {
  EXPECT_EQ(Search(1, 0), 0);
  EXPECT_EQ(Search(1, 1e9), 1024);
}

TEST(FindHighestRateTest, NeverAsksAgainForARateThatWasDenied) {
  double lowest_denied = 1e9;
  FindHighestRate(3, [&](double rate) {
    EXPECT_LT(rate, lowest_denied);
    if (rate <= 50) return true;
    lowest_denied = rate;
    return false;
  });
}

}  // namespace
}  // namespace culturetag::client
