// Sends requests to a server by plan (open loop) or as answers come (closed loop), and measures.
//
// In the open loop a request is sent when it is due, whatever became of those before, and its latency counts from then:
// what a stall does to everybody who would have called meanwhile shows in the percentiles. A closed loop waits for
// answers before it sends, so that it asks less of a server that is slow; it measures throughput, not what callers
// feel.
#ifndef CULTURETAG_CLIENT_BENCH_LOAD_RUN_H_
#define CULTURETAG_CLIENT_BENCH_LOAD_RUN_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/bench/clip.h"
#include "client/bench/latency_histogram.h"
#include "client/bench/schedule.h"
#include "client/interrupts.h"
#include "client/tagging_client.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

// One of those who call at the same time.
struct LoadClient {
  std::string name;
  std::unique_ptr<TaggingClient> client;  // without retries: a refusal is an outcome
};

struct LoadInput {
  std::vector<LoadClient> clients;
  std::vector<Clip> clips;
  v1::TagRequest request;  // without audio
  absl::Duration goal = absl::InfiniteDuration();  // for an answer's latency
};

struct LoadResult {
  absl::Duration elapsed;  // from the start until the last answer
  int64_t sent = 0;
  int64_t answered = 0;
  absl::Duration audio;  // that was tagged
  std::map<std::string, int64_t> failures;  // by gRPC status code
  std::map<std::string, std::string> reasons;  // the message of the first failure of each code
  int64_t within_goal = 0;  // answers whose latency is at most LoadInput's goal
  // Of answered requests. `latency` counts from when a request was due, `sending_delay` is what of it passed before it
  // was sent; in a closed loop a request is due when it is sent.
  LatencyHistogram latency;
  LatencyHistogram sending_delay;
  // From v1::Timing.
  LatencyHistogram decode;
  LatencyHistogram queue;
  LatencyHistogram inference;
  LatencyHistogram server_total;
  // Of requests that the server refused (RESOURCE_EXHAUSTED), from when they were sent: how soon a caller can go elsewhere.
  LatencyHistogram refusal;
  std::map<std::string, LatencyHistogram> latency_by_client;
};

// Returns once every request has its outcome; Ctrl-C keeps the rest from being sent.
LoadResult RunOpenLoop(const LoadInput& input, const std::vector<Arrival>& schedule, Interrupts& interrupts);

// Keeps `concurrency` requests under way for `length`. Clips come in the order of `clips`, from the start again at its
// end; clients take turns.
LoadResult RunClosedLoop(const LoadInput& input, const std::vector<std::size_t>& clips, int concurrency,
                         absl::Duration length, Interrupts& interrupts);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_LOAD_RUN_H_
