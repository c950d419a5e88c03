// Finds the highest rate that a server keeps a goal at.
#ifndef CULTURETAG_CLIENT_BENCH_RATE_SEARCH_H_
#define CULTURETAG_CLIENT_BENCH_RATE_SEARCH_H_

#include <functional>

namespace culturetag::client {

// The highest rate at which `keeps_goal` held, to within 5 %: doubles or halves `start` until the goal breaks or holds,
// then bisects. 0 where it holds at none down to start / 1024; start * 1024 where it breaks at none up to there. A rate
// that `keeps_goal` once denied isn't asked for again, nor a higher one.
inline double FindHighestRate(double start, const std::function<bool(double)>& keeps_goal) {
  constexpr double kSpan = 1024;
  constexpr double kPrecision = 1.05;
  double good = 0;
  double bad = 0;  // 0: not known
  for (double rate = start; bad == 0 && rate <= start * kSpan; rate *= 2) (keeps_goal(rate) ? good : bad) = rate;
  for (double rate = start / 2; good == 0 && rate >= start / kSpan; rate /= 2) (keeps_goal(rate) ? good : bad) = rate;
  if (good == 0 || bad == 0) return good;
  while (bad / good > kPrecision) {
    const double rate = (good + bad) / 2;
    (keeps_goal(rate) ? good : bad) = rate;
  }
  return good;
}

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_RATE_SEARCH_H_
