// What a load test found, for people and for programs.
//
// Pure functions.
#ifndef CULTURETAG_CLIENT_BENCH_LOAD_REPORT_H_
#define CULTURETAG_CLIENT_BENCH_LOAD_REPORT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/bench/load_run.h"

namespace culturetag::client {

struct Goal {
  absl::Duration latency = absl::InfiniteDuration();  // infinite: none
  double percentile = 99;
};

// One run, or one step of a search.
struct LoadStep {
  double offered_rate = 0;  // requests a second; 0 in a closed loop
  LoadResult result;
};

// The JSON's shape, for --help.
extern const char kLoadJsonShape[];

// Whether the percentile of the latency is within the goal and every request was answered. False without answers.
bool KeepsGoal(const LoadResult& result, const Goal& goal);

std::string LoadText(const LoadStep& step, const Goal& goal);

// A line for a search's step: rate, percentile, verdict.
std::string StepText(const LoadStep& step, const Goal& goal);

// An object on one line, without a line break. `highest_rate` < 0: nothing was searched.
std::string LoadJson(const std::vector<LoadStep>& steps, const Goal& goal, double highest_rate);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_LOAD_REPORT_H_
