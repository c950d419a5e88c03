// What an operator may set, read from flags.
#ifndef CULTURETAG_CONFIG_H_
#define CULTURETAG_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/logging.h"

namespace culturetag {

// Defaults, units and reasons stand with the flags in config.cc, where --help shows them.
struct Config {
  std::vector<std::string> bundles;
  absl::Duration reload_period;  // zero: only when asked to
  std::string listen;
  std::string metrics_listen;
  std::string port_file;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  std::string auth_tokens_file;
  bool reflection = true;
  absl::Duration max_connection_age;  // zero: no limit
  std::string device;
  int max_batch_windows = 0;
  absl::Duration max_queue_delay;
  absl::Duration max_queued_audio;
  double bulk_share = 0;
  std::map<std::string, double> client_weights;
  absl::Duration max_audio_duration;
  int64_t max_request_bytes = 0;
  int64_t max_bytes_in_flight = 0;
  int64_t response_cache_bytes = 0;  // zero: none
  absl::Duration max_stream_duration;
  absl::Duration stream_idle_timeout;
  int max_streams = 0;
  std::string spool_folder;
  int64_t max_spool_bytes = 0;
  int decode_threads = 0;
  int executors = 0;
  int compute_threads = 0;
  absl::Duration drain_delay;
  absl::Duration drain_timeout;
  bool log_requests = true;
  LogFormat log_format = LogFormat::kText;
};

// Parses the command line, in which the values of repeated --bundle add up, and returns whether it has nothing but flags. Ends
// the process for a wrong flag and for --help. Call it once.
bool ParseFlags(int argc, char** argv);

// The flags' values, with 0 threads resolved to this machine's. INVALID_ARGUMENT names the flag that is wrong and what
// would be right.
absl::StatusOr<Config> ConfigFromFlags();

// The name and the value of each of the flags, for the log. None is a secret: what is secret is in files.
std::vector<LogField> FlagValues();

}  // namespace culturetag

#endif  // CULTURETAG_CONFIG_H_
