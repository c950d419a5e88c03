// How far a run is, on one line of a terminal that is drawn over again.
#ifndef CULTURETAG_CLIENT_PROGRESS_H_
#define CULTURETAG_CLIENT_PROGRESS_H_

#include <cstddef>
#include <ostream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace culturetag::client {

struct Progress {
  std::size_t done = 0;    // files with an outcome, failed ones included
  std::size_t failed = 0;
  std::size_t total = 0;
  absl::Duration elapsed;
};

// A bar, the counts, the rate since the start, and the time left at that rate.
std::string ProgressText(const Progress& progress);

// Not thread-safe.
class ProgressLine {
 public:
  // `enabled`: whether `terminal` is one; otherwise nothing is ever written.
  ProgressLine(std::ostream& terminal, bool enabled) : terminal_(terminal), enabled_(enabled) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Draws, but not more often than eyes can follow. `elapsed` is filled in.
  void Update(Progress progress);
  // Wipes the line, so that something else can be written there.
  void Clear();

 private:
  std::ostream& terminal_;
  const bool enabled_;
  const absl::Time start_ = absl::Now();
  absl::Time last_drawn_ = absl::InfinitePast();
  bool drawn_ = false;
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_PROGRESS_H_
