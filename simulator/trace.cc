#include "simulator/trace.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace culturetag::simulator {
namespace {

constexpr absl::string_view kHeader = "time,client,priority,seconds,deadline";
constexpr absl::string_view kPatience = ",patience";

absl::StatusOr<absl::Duration> ParseSeconds(absl::string_view name, absl::string_view text, double least) {
  double seconds = 0;
  if (!absl::SimpleAtod(text, &seconds) || !std::isfinite(seconds) || seconds < least) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is `", text, "`, not a number of at least ", least));
  }
  return absl::Seconds(seconds);
}

// An empty cell says that there is no limit.
absl::StatusOr<absl::Duration> ParseLimit(absl::string_view name, absl::string_view text) {
  if (text.empty()) return absl::InfiniteDuration();
  return ParseSeconds(name, text, 0);
}

absl::StatusOr<Arrival> ParseRow(const std::vector<absl::string_view>& cells) {
  Arrival arrival;
  CULTURETAG_ASSIGN_OR_RETURN(const absl::Duration time, ParseSeconds("time", cells[0], 0));
  arrival.time += time;
  arrival.client = std::string(cells[1]);
  if (cells[2] != "interactive" && cells[2] != "bulk") {
    return absl::InvalidArgumentError(absl::StrCat("priority is `", cells[2], "`, not `interactive` or `bulk`"));
  }
  arrival.priority = cells[2] == "bulk" ? Priority::kBulk : Priority::kInteractive;
  CULTURETAG_ASSIGN_OR_RETURN(arrival.audio, ParseSeconds("seconds", cells[3], 0.5));
  CULTURETAG_ASSIGN_OR_RETURN(arrival.deadline, ParseLimit("deadline", cells[4]));
  CULTURETAG_ASSIGN_OR_RETURN(arrival.patience, ParseLimit("patience", cells.size() > 5 ? cells[5] : ""));
  return arrival;
}

}  // namespace

absl::optional<Arrival> ListTrace::Next() {
  if (next_ == arrivals_.size()) return absl::nullopt;
  return arrivals_[next_++];
}

MergedTrace::MergedTrace(std::vector<std::unique_ptr<Trace>> traces) : traces_(std::move(traces)) {
  for (const auto& trace : traces_) heads_.push_back(trace->Next());
}

absl::optional<Arrival> MergedTrace::Next() {
  const auto first = std::min_element(heads_.begin(), heads_.end(), [](const auto& a, const auto& b) {
    return a.has_value() && (!b.has_value() || a->time < b->time);
  });
  if (first == heads_.end()) return absl::nullopt;
  absl::optional<Arrival> arrival = std::move(*first);
  if (arrival.has_value()) *first = traces_[static_cast<size_t>(first - heads_.begin())]->Next();
  return arrival;
}

absl::StatusOr<std::vector<Arrival>> ReadTrace(std::istream& csv) {
  std::string line;
  std::getline(csv, line);
  const std::string header(absl::StripTrailingAsciiWhitespace(line));
  if (header != kHeader && header != absl::StrCat(kHeader, kPatience)) {
    return absl::InvalidArgumentError(absl::StrCat("line 1 must be `", kHeader, "` or `", kHeader, kPatience, "`"));
  }
  const std::vector<absl::string_view> names = absl::StrSplit(header, ',');
  std::vector<Arrival> arrivals;
  for (int number = 2; std::getline(csv, line); ++number) {
    const absl::string_view row = absl::StripTrailingAsciiWhitespace(line);
    if (row.empty()) continue;
    const std::vector<absl::string_view> cells = absl::StrSplit(row, ',');
    absl::StatusOr<Arrival> arrival = absl::InvalidArgumentError(absl::StrCat("expected ", names.size(), " cells"));
    if (cells.size() == names.size()) arrival = ParseRow(cells);
    if (!arrival.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", arrival.status().message()));
    }
    arrivals.push_back(*std::move(arrival));
  }
  std::stable_sort(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) { return a.time < b.time; });
  return arrivals;
}

}  // namespace culturetag::simulator
