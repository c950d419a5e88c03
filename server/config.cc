#include "config.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <thread>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

ABSL_FLAG(std::vector<std::string>, bundle, {},
          "Folders of the model bundles to serve, comma-separated or each in a flag of its own. Requests that name no model get the "
          "first. Required.");
ABSL_FLAG(absl::Duration, reload_period, absl::Seconds(5),
          "How often to look whether a bundle's manifest has changed, or the link that leads to it; the new version is then taken "
          "up without a restart. 0: only at SIGHUP.");
ABSL_FLAG(std::string, listen, "0.0.0.0:50051", "HOST:PORT of the gRPC service; port 0 takes any free one.");
ABSL_FLAG(std::string, metrics_listen, "0.0.0.0:9464",
          "HOST:PORT of plain HTTP for /metrics, /healthz and /readyz; port 0 takes any free one. Empty: none.");
ABSL_FLAG(std::string, port_file, "",
          "A file to write the gRPC port to once it is open, for whoever starts the server on port 0. Empty: none.");
ABSL_FLAG(std::string, tls_cert, "", "PEM file of the server's certificate chain. With --tls_key the gRPC port takes TLS only. Files "
          "that are replaced are taken up within seconds, without a restart.");
ABSL_FLAG(std::string, tls_key, "", "PEM file of the certificate's private key, without a passphrase.");
ABSL_FLAG(std::string, tls_client_ca, "", "PEM file of the authorities that must have signed the clients' certificates. Empty: clients "
          "need none.");
ABSL_FLAG(std::string, auth_tokens_file, "",
          "A file with a line `NAME TOKEN [weight=N] [requests_per_minute=N] [audio_seconds_per_minute=N] [streams=N]` for each "
          "client that may call. Health checks and reflection need no token. Empty: anyone may call.");
ABSL_FLAG(bool, reflection, true, "Whether to describe the services to grpcurl and its like.");
ABSL_FLAG(absl::Duration, max_connection_age, absl::ZeroDuration(),
          "After so long a client is asked to connect anew, so that load spreads over new replicas. 0: never.");
ABSL_FLAG(std::string, device, "auto", "Where the models run: auto (the first GPU, else the CPU), cpu, cuda or cuda:N.");
ABSL_FLAG(std::string, precision, "auto", "Arithmetic of the models: auto or fp32.");
ABSL_FLAG(int, max_batch_windows, 0,
          "The most windows in one pass of the device. 0: measured at start, since the best batch depends on the device.");
ABSL_FLAG(absl::Duration, max_queue_delay, absl::ZeroDuration(),
          "How long a free device waits for a fuller batch. 0: not at all; batches form while the device is busy.");
ABSL_FLAG(absl::Duration, max_queued_audio, absl::ZeroDuration(),
          "The most audio of interactive, and as much of bulk requests, that may wait for the device. Beyond it, requests are "
          "refused with the time to wait. 0: what the device scores in a minute, as measured at start, but at least an hour.");
ABSL_FLAG(double, bulk_share, 0.125,
          "Of the device's work, what PRIORITY_BULK gets while interactive requests wait, too; alone, it gets all.");
ABSL_FLAG(std::vector<std::string>, client_weights, {},
          "NAME=WEIGHT, comma-separated: what clients get of the device against each other. NAME is the call's x-client-id "
          "metadata or the peer's address (ipv4:10.0.0.7). Clients that aren't named have the weight 1.");
ABSL_FLAG(absl::Duration, max_audio_duration, absl::Minutes(15), "The longest audio of one request, after decoding.");
ABSL_FLAG(int64_t, max_request_bytes, int64_t{512} << 20,
          "The largest request message. gRPC's own limit, 4 MiB, holds only 44 s of 24 kHz floats; this one holds ten minutes "
          "of 96 kHz stereo floats.");
ABSL_FLAG(int64_t, max_bytes_in_flight, int64_t{1} << 30,
          "The most bytes of audio that all requests together hold, from arrival to response; more is refused.");
ABSL_FLAG(int64_t, response_cache_bytes, 0,
          "Memory for responses of Tag and Embed, so that the same audio with the same options is answered without the device, and "
          "identical calls that come together wait for one. 0: none.");
ABSL_FLAG(absl::Duration, max_stream_duration, absl::Hours(24), "The longest audio of one stream, after decoding.");
ABSL_FLAG(absl::Duration, stream_idle_timeout, absl::Minutes(1),
          "How long a stream may wait for its client, to send or to take something, before it ends with DEADLINE_EXCEEDED.");
ABSL_FLAG(int, max_streams, 256, "The most TagStream calls at a time; each has a thread. More are refused.");
ABSL_FLAG(std::string, spool_folder, "/tmp",
          "Where uploads are written that can't be decoded before all of them is there, such as Ogg. The files have no names "
          "and go with the process.");
ABSL_FLAG(int64_t, max_spool_bytes, int64_t{4} << 30, "The most that all such uploads together take in --spool_folder.");
ABSL_FLAG(int, executors, 1,
          "Passes that run side by side on the device, each with its own copy of the models and its share of "
          "--compute_threads. More than one pays on CPUs with many cores.");
ABSL_FLAG(int, decode_threads, 0, "Threads that decode and resample. 0: one for each core.");
ABSL_FLAG(int, compute_threads, 0, "Threads of one pass of a model on a CPU. 0: one for each core.");
ABSL_FLAG(absl::Duration, drain_delay, absl::ZeroDuration(),
          "How long to go on accepting requests after SIGTERM, with health NOT_SERVING, until load balancers have noticed.");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(30),
          "How long after --drain_delay accepted requests may take to end before they are cut off with UNAVAILABLE.");
ABSL_FLAG(bool, log_requests, true,
          "Whether every call has a line in the log: its method, status, time, client, x-request-id and traceparent; no audio, no "
          "token.");
ABSL_FLAG(std::string, log_format, "text", "Form of the log on standard error: text or json.");

namespace culturetag {
namespace {

absl::Status Wrong(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " ", what));
}

absl::Status Validate(const Config& config) {
  if (config.bundles.empty()) return Wrong("bundle", "is missing: name the folder of a model bundle, such as bundles/demo");
  if (config.reload_period < absl::ZeroDuration()) return Wrong("reload_period", "must not be negative");
  if (config.listen.empty()) return Wrong("listen", "is empty: give HOST:PORT, such as 127.0.0.1:50051");
  if (config.tls_cert.empty() != config.tls_key.empty()) return Wrong("tls_cert", "and --tls_key go together: give both or none");
  if (!config.tls_client_ca.empty() && config.tls_cert.empty()) return Wrong("tls_client_ca", "needs --tls_cert and --tls_key");
  if (config.max_connection_age < absl::ZeroDuration()) return Wrong("max_connection_age", "must not be negative");
  if (config.max_batch_windows < 0 || config.max_batch_windows > 4096) {
    return Wrong("max_batch_windows", "must be 0, for a measured size, to 4096");
  }
  if (config.max_queue_delay < absl::ZeroDuration() || config.max_queue_delay > absl::Seconds(10)) {
    return Wrong("max_queue_delay", "must be 0s to 10s");
  }
  if (config.max_audio_duration <= absl::ZeroDuration() || config.max_audio_duration > absl::Hours(24)) {
    return Wrong("max_audio_duration", "must be more than 0s and at most 24h");
  }
  if (config.max_queued_audio != absl::ZeroDuration() && config.max_queued_audio < config.max_audio_duration) {
    return Wrong("max_queued_audio", "must be 0, or at least --max_audio_duration, or the longest request would never fit");
  }
  if (!(config.bulk_share > 0 && config.bulk_share < 1)) return Wrong("bulk_share", "must be between 0 and 1");
  if (config.max_request_bytes < 1 << 16 || config.max_request_bytes > std::numeric_limits<int>::max()) {
    return Wrong("max_request_bytes", "must be 65536 to 2147483647");
  }
  if (config.max_bytes_in_flight < config.max_request_bytes) {
    return Wrong("max_bytes_in_flight", "must be at least --max_request_bytes, or the largest request would never fit");
  }
  if (config.response_cache_bytes < 0) return Wrong("response_cache_bytes", "must not be negative");
  if (config.max_stream_duration <= absl::ZeroDuration()) return Wrong("max_stream_duration", "must be more than 0s");
  if (config.stream_idle_timeout <= absl::ZeroDuration()) return Wrong("stream_idle_timeout", "must be more than 0s");
  if (config.max_streams < 1 || config.max_streams > 10000) return Wrong("max_streams", "must be 1 to 10000");
  if (config.max_spool_bytes < 0) return Wrong("max_spool_bytes", "must not be negative");
  if (config.executors < 1 || config.executors > 64) return Wrong("executors", "must be 1 to 64");
  if (config.decode_threads < 1 || config.decode_threads > 1024) return Wrong("decode_threads", "must be 0 to 1024");
  if (config.compute_threads < 1 || config.compute_threads > 1024) return Wrong("compute_threads", "must be 0 to 1024");
  if (config.drain_delay < absl::ZeroDuration()) return Wrong("drain_delay", "must not be negative");
  if (config.drain_timeout < absl::ZeroDuration()) return Wrong("drain_timeout", "must not be negative");
  return absl::OkStatus();
}

absl::Status ParseClientWeights(const std::vector<std::string>& flags, std::map<std::string, double>& weights) {
  for (const std::string& flag : flags) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(flag, absl::MaxSplits('=', 1));
    double weight = 0;
    if (parts.first.empty() || !absl::SimpleAtod(parts.second, &weight) || !(weight >= 0.001 && weight <= 1000)) {
      return Wrong("client_weights", absl::StrCat("has '", flag, "'; it must be NAME=WEIGHT with a weight of 0.001 to 1000"));
    }
    weights[parts.first] = weight;
  }
  return absl::OkStatus();
}

// `arguments` with the values of every --bundle in one flag, since Abseil takes only the last of a repeated one.
std::vector<std::string> WithBundlesJoined(const std::vector<std::string>& arguments) {
  std::vector<std::string> others, bundles;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    absl::string_view value = *argument;
    if (absl::ConsumePrefix(&value, "--bundle=") || absl::ConsumePrefix(&value, "-bundle=")) {
      bundles.emplace_back(value);
    } else if ((value == "--bundle" || value == "-bundle") && std::next(argument) != arguments.end()) {
      bundles.push_back(*++argument);
    } else {
      others.push_back(*argument);
    }
  }
  if (!bundles.empty()) others.push_back(absl::StrCat("--bundle=", absl::StrJoin(bundles, ",")));
  return others;
}

}  // namespace

bool ParseFlags(int argc, char** argv) {
  static std::vector<std::string> arguments;  // Abseil returns pointers to them
  arguments = WithBundlesJoined({argv, argv + argc});
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return absl::ParseCommandLine(static_cast<int>(pointers.size()), pointers.data()).size() == 1;
}

absl::StatusOr<Config> ConfigFromFlags() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const auto or_cores = [cores](int threads) { return threads == 0 ? cores : threads; };
  Config config;
  for (const std::string& bundle : absl::GetFlag(FLAGS_bundle)) {
    if (!bundle.empty()) config.bundles.push_back(bundle);
  }
  config.reload_period = absl::GetFlag(FLAGS_reload_period);
  config.listen = absl::GetFlag(FLAGS_listen);
  config.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  config.port_file = absl::GetFlag(FLAGS_port_file);
  config.tls_cert = absl::GetFlag(FLAGS_tls_cert);
  config.tls_key = absl::GetFlag(FLAGS_tls_key);
  config.tls_client_ca = absl::GetFlag(FLAGS_tls_client_ca);
  config.auth_tokens_file = absl::GetFlag(FLAGS_auth_tokens_file);
  config.reflection = absl::GetFlag(FLAGS_reflection);
  config.max_connection_age = absl::GetFlag(FLAGS_max_connection_age);
  config.device = absl::GetFlag(FLAGS_device);
  config.max_batch_windows = absl::GetFlag(FLAGS_max_batch_windows);
  config.max_queue_delay = absl::GetFlag(FLAGS_max_queue_delay);
  config.max_queued_audio = absl::GetFlag(FLAGS_max_queued_audio);
  config.bulk_share = absl::GetFlag(FLAGS_bulk_share);
  CULTURETAG_RETURN_IF_ERROR(ParseClientWeights(absl::GetFlag(FLAGS_client_weights), config.client_weights));
  config.max_audio_duration = absl::GetFlag(FLAGS_max_audio_duration);
  config.max_request_bytes = absl::GetFlag(FLAGS_max_request_bytes);
  config.max_bytes_in_flight = absl::GetFlag(FLAGS_max_bytes_in_flight);
  config.response_cache_bytes = absl::GetFlag(FLAGS_response_cache_bytes);
  config.max_stream_duration = absl::GetFlag(FLAGS_max_stream_duration);
  config.stream_idle_timeout = absl::GetFlag(FLAGS_stream_idle_timeout);
  config.max_streams = absl::GetFlag(FLAGS_max_streams);
  config.spool_folder = absl::GetFlag(FLAGS_spool_folder);
  config.max_spool_bytes = absl::GetFlag(FLAGS_max_spool_bytes);
  config.executors = absl::GetFlag(FLAGS_executors);
  config.decode_threads = or_cores(absl::GetFlag(FLAGS_decode_threads));
  config.compute_threads = or_cores(absl::GetFlag(FLAGS_compute_threads));
  config.drain_delay = absl::GetFlag(FLAGS_drain_delay);
  config.drain_timeout = absl::GetFlag(FLAGS_drain_timeout);

  config.log_requests = absl::GetFlag(FLAGS_log_requests);

  const std::string precision = absl::GetFlag(FLAGS_precision);
  if (precision != "auto" && precision != "fp32") return Wrong("precision", "must be auto or fp32");
  const std::string log_format = absl::GetFlag(FLAGS_log_format);
  if (log_format != "text" && log_format != "json") return Wrong("log_format", "must be text or json");
  config.log_format = log_format == "json" ? LogFormat::kJson : LogFormat::kText;

  CULTURETAG_RETURN_IF_ERROR(Validate(config));
  return config;
}

std::vector<LogField> FlagValues() {
  std::vector<LogField> values;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::EndsWith(flag->Filename(), "config.cc")) values.emplace_back(name, flag->CurrentValue());
  }
  std::sort(values.begin(), values.end(), [](const LogField& a, const LogField& b) { return a.key() < b.key(); });
  return values;
}

}  // namespace culturetag
