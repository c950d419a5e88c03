// `culturetag bench`: loads a server and reports what its callers would feel.
#ifndef CULTURETAG_CLIENT_BENCH_BENCH_COMMAND_H_
#define CULTURETAG_CLIENT_BENCH_BENCH_COMMAND_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/bench/schedule.h"
#include "client/connection_options.h"
#include "client/console.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

struct BenchOptions {
  // What is sent: audio files, each as often as the others, or, without files, noise of these lengths and weights.
  std::vector<std::string> files;
  std::vector<std::pair<absl::Duration, double>> lengths = {{absl::Seconds(10), 1}};

  // Open loop: a rate > 0 with an arrival process, or a trace's file, which has its own times, lengths and clients.
  // Otherwise a closed loop of `concurrency` requests.
  double rate = 0;
  ArrivalProcess process = ArrivalProcess::kPoisson;
  std::string trace;
  int concurrency = 1;

  absl::Duration length = absl::Seconds(10);  // of the run, or of each step of a search
  int client_count = 1;                       // each with its own connection and x-client-id
  uint64_t seed = 1;

  // What callers want: this percentile of the latency at most `goal`; infinite: no matter what. Goodput counts answers
  // within the goal. With `search`, rates are tried from `rate` on for the highest that keeps it.
  absl::Duration goal = absl::InfiniteDuration();
  double goal_percentile = 99;
  bool search = false;

  // Of the requests.
  std::string model;
  std::vector<std::string> heads;
  int top_k = 5;
  v1::Priority priority = v1::PRIORITY_INTERACTIVE;

  bool json = false;
  std::string html_file;  // for a page with the plot; empty: none
};

// Returns the exit code: 0 if the load ran and, where there is a goal, kept it; 1 otherwise; 130 after Ctrl-C, with the
// report of what ran until then.
int RunBench(const BenchOptions& options, const ConnectionOptions& connection, const Console& console);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_BENCH_COMMAND_H_
