#include "client/bench/schedule.h"

#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/bench/clip.h"

namespace culturetag::client {
namespace {

Failure LineFailure(int line, absl::string_view what) {
  Failure failure;
  failure.code = "INVALID_ARGUMENT";
  failure.message = absl::StrCat("line ", line, " of the trace ", what);
  return failure;
}

}  // namespace

std::vector<std::size_t> PickClips(const std::vector<double>& weights, std::size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::discrete_distribution<std::size_t> pick(weights.begin(), weights.end());
  std::vector<std::size_t> clips(count);
  for (std::size_t& clip : clips) clip = pick(random);
  return clips;
}

std::vector<Arrival> MakeSchedule(const ScheduleOptions& options) {
  std::mt19937_64 random(options.seed);
  std::exponential_distribution<double> gap(options.rate);
  std::vector<Arrival> arrivals;
  for (double due = 0; absl::Seconds(due) < options.length;) {
    arrivals.push_back({absl::Seconds(due), 0, arrivals.size() % options.client_count});
    // Multiplied rather than summed up, so that errors don't grow.
    due = options.process == ArrivalProcess::kConstant ? static_cast<double>(arrivals.size()) / options.rate
                                                       : due + gap(random);
  }
  // A generator of its own: the clips don't change the times.
  const std::vector<std::size_t> clips = PickClips(options.clip_weights, arrivals.size(), options.seed + 1);
  for (std::size_t i = 0; i < arrivals.size(); ++i) arrivals[i].clip = clips[i];
  return arrivals;
}

Outcome<std::vector<TraceEntry>> ParseTrace(absl::string_view text) {
  std::vector<TraceEntry> trace;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    const std::vector<absl::string_view> fields =
        absl::StrSplit(line.substr(0, line.find('#')), absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (fields.empty()) continue;
    double due = 0;
    double length = 0;
    if (fields.size() < 2 || fields.size() > 3 || !absl::SimpleAtod(fields[0], &due) ||
        !absl::SimpleAtod(fields[1], &length)) {
      return LineFailure(line_number, "isn't `SECONDS_SINCE_START CLIP_SECONDS [CLIENT]`");
    }
    if (!(due >= 0) || !(length > 0)) return LineFailure(line_number, "has a negative time or a clip of 0 s");
    if (!std::isfinite(due)) return LineFailure(line_number, "has a time without end");
    if (absl::Seconds(length) > kLongestClip) {
      return LineFailure(line_number, absl::StrCat("has a clip longer than the ", absl::FormatDuration(kLongestClip),
                                                   " that a message holds"));
    }
    if (!trace.empty() && absl::Seconds(due) < trace.back().due) return LineFailure(line_number, "goes back in time");
    trace.push_back({absl::Seconds(due), absl::Seconds(length), fields.size() == 3 ? std::string(fields[2]) : ""});
  }
  if (trace.empty()) return LineFailure(line_number, "is the last, and none has a request");
  return trace;
}

}  // namespace culturetag::client
