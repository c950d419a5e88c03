// How many files to keep in flight so that the server is busy, and no more waits there than keeps it so.
//
// The server says in its answers how long a file's windows waited and how long they ran. While they wait less than they
// run, another file in flight still fills a gap; once they wait longer, it would only wait, too. A refusal halves the
// number (additive increase, multiplicative decrease).
//
// Not thread-safe.
#ifndef CULTURETAG_CLIENT_ADAPTIVE_LIMIT_H_
#define CULTURETAG_CLIENT_ADAPTIVE_LIMIT_H_

#include <algorithm>

#include "absl/time/time.h"

namespace culturetag::client {

class AdaptiveLimit {
 public:
  // Four keep a server's decoder and device busy from the start without letting one client crowd out others.
  static constexpr double kStart = 4;
  // Past it, a machine that sends is more likely to be what everybody waits for.
  static constexpr double kMax = 64;

  // `fixed` > 0: always that. 0: adaptive.
  explicit AdaptiveLimit(int fixed) : adaptive_(fixed == 0), limit_(fixed == 0 ? kStart : fixed) {}

  int limit() const { return static_cast<int>(limit_); }

  // A file was answered; `queue` and `inference` are those of v1::Timing.
  void OnAnswer(absl::Duration queue, absl::Duration inference) {
    if (!adaptive_) return;
    // By about one for each round of answers.
    const double step = 1 / limit_;
    limit_ = std::clamp(queue <= inference ? limit_ + step : limit_ - step, 1.0, kMax);
  }

  // A file was refused for good with RESOURCE_EXHAUSTED.
  void OnRefusal() {
    if (adaptive_) limit_ = std::max(limit_ / 2, 1.0);
  }

 private:
  const bool adaptive_;
  double limit_;
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_ADAPTIVE_LIMIT_H_
