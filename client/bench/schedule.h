// When which request is due: the plan of an open loop, made before anything is sent, so that no answer can change it.
//
// Pure functions.
#ifndef CULTURETAG_CLIENT_BENCH_SCHEDULE_H_
#define CULTURETAG_CLIENT_BENCH_SCHEDULE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/failure.h"

namespace culturetag::client {

struct Arrival {
  absl::Duration due;  // since the start
  std::size_t clip = 0;
  std::size_t client = 0;
};

enum class ArrivalProcess {
  kConstant,  // equal gaps
  kPoisson,   // exponential gaps: callers who know nothing of each other
};

struct ScheduleOptions {
  ArrivalProcess process = ArrivalProcess::kPoisson;
  double rate = 1;                        // requests a second, > 0
  absl::Duration length;                  // requests are due before it
  std::vector<double> clip_weights = {1};  // how often each clip comes, against the others; not empty, > 0
  std::size_t client_count = 1;           // clients take turns
  uint64_t seed = 1;                      // the same seed, the same plan
};

std::vector<Arrival> MakeSchedule(const ScheduleOptions& options);

// Picks clips by their weights, one after the other.
std::vector<std::size_t> PickClips(const std::vector<double>& weights, std::size_t count, uint64_t seed);

// One request of a trace.
struct TraceEntry {
  absl::Duration due;
  absl::Duration clip_length;
  std::string client;
};

// Reads lines `SECONDS_SINCE_START CLIP_SECONDS [CLIENT]`, separated by spaces; empty lines and what follows a # don't
// count. Fails with INVALID_ARGUMENT, naming the line: no numbers, a negative time, a clip of 0 s, or times that fall.
Outcome<std::vector<TraceEntry>> ParseTrace(absl::string_view text);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_SCHEDULE_H_
