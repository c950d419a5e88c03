#include "simulator/lengths.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "simulator/request.h"

namespace culturetag::simulator {
namespace {

constexpr absl::Duration kStep = absl::Milliseconds(100);

}  // namespace

absl::Duration Lengths::Quantile(double quantile) const {
  absl::Duration length = shortest;
  if (shape == Shape::kUniform) {
    length += (longest - shortest) * quantile;
  } else if (shape == Shape::kPareto) {
    // Of the Pareto distribution that is cut off at `longest`.
    const double cut = std::pow(absl::FDivDuration(shortest, longest), tail);
    length = shortest * std::pow(1 - quantile * (1 - cut), -1 / tail);
  }
  return std::max(kStep, absl::Trunc(std::min(length, longest), kStep));
}

absl::Duration Lengths::MeanWork() const {
  // By the midpoint rule, whose error at this many steps is far below that of any simulation.
  constexpr int kSteps = 100'000;
  absl::Duration sum;
  for (int i = 0; i < kSteps; ++i) {
    const absl::Duration audio = Quantile((i + 0.5) / kSteps);
    sum += std::min(audio, kWindow) * WindowCount(audio);
  }
  return sum / kSteps;
}

absl::StatusOr<Lengths> ParseLengths(absl::string_view text) {
  const auto wrong = [text](absl::string_view problem) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", text, "`: ", problem, "; write 5s, uniform:1s:30s or pareto:1s:3h:1.1"));
  };
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  Lengths lengths;
  size_t expected = 1;
  if (parts[0] == "uniform") {
    lengths.shape = Lengths::Shape::kUniform;
    expected = 3;
  } else if (parts[0] == "pareto") {
    lengths.shape = Lengths::Shape::kPareto;
    expected = 4;
  }
  if (parts.size() != expected) return wrong("the wrong number of parts");
  if (!absl::ParseDuration(parts[expected == 1 ? 0 : 1], &lengths.shortest)) return wrong("a length is no duration");
  lengths.longest = lengths.shortest;
  if (expected > 1 && !absl::ParseDuration(parts[2], &lengths.longest)) return wrong("a length is no duration");
  if (lengths.shortest < kStep || lengths.longest < lengths.shortest || lengths.longest > absl::Hours(24)) {
    return wrong("lengths rise from at least 100ms to at most 24h");
  }
  if (expected == 4 && (!absl::SimpleAtod(parts[3], &lengths.tail) || !(lengths.tail > 0 && lengths.tail < 100))) {
    return wrong("the tail is a number above 0");
  }
  return lengths;
}

}  // namespace culturetag::simulator
