// How long the audio of requests is.
//
// Plain values and pure functions; thread-safe.
#ifndef CULTURETAG_SIMULATOR_LENGTHS_H_
#define CULTURETAG_SIMULATOR_LENGTHS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace culturetag::simulator {

// A distribution of lengths between `shortest` and `longest`. Lengths come in steps of 100 ms, so that clips of less than a
// window share up to 49 lengths.
struct Lengths {
  enum class Shape { kFixed, kUniform, kPareto };

  Shape shape = Shape::kFixed;
  absl::Duration shortest;  // >= 100 ms
  absl::Duration longest;   // >= shortest; equal if kFixed
  double tail = 1;          // kPareto: P(length > x) falls as x^-tail, > 0: the smaller, the heavier

  // The length that a share `quantile` in [0, 1) of all doesn't exceed.
  absl::Duration Quantile(double quantile) const;

  // The mean over requests of the audio that the device runs: of whole windows, for all but the shortest clips.
  absl::Duration MeanWork() const;
};

// "5s", "uniform:1s:30s" or "pareto:1s:3h:1.1". INVALID_ARGUMENT for anything else, saying what is wrong.
absl::StatusOr<Lengths> ParseLengths(absl::string_view text);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_LENGTHS_H_
