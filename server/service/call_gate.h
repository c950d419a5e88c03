// What every call passes, whichever service of the port it is for: who calls, what the calls hold, how they are counted.
//
// Thread-safe. Metrics, clock and authenticator must outlive the gate; a tagger must outlive it too, or at least all calls.
#ifndef CULTURETAG_SERVICE_CALL_GATE_H_
#define CULTURETAG_SERVICE_CALL_GATE_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "grpcpp/server_context.h"
#include "observability/metrics.h"
#include "service/authenticator.h"
#include "service/caching_tagger.h"
#include "service/call_context.h"
#include "service/request_log.h"
#include "service/tagger.h"

namespace culturetag {

class CallGate {
 public:
  // All requests together hold at most `max_bytes_in_flight` of audio, from the arrival of a message until its response;
  // what comes beyond that is refused with RESOURCE_EXHAUSTED.
  // With an `authenticator`, only those whom it knows may call. With `log_requests`, every call has a line in the log.
  CallGate(int64_t max_bytes_in_flight, const Authenticator* authenticator, bool log_requests, Clock& clock, Metrics& metrics)
      : authenticator_(authenticator),
        log_(log_requests, clock),
        clock_(clock),
        metrics_(metrics),
        bytes_in_flight_(max_bytes_in_flight) {}

  // Opens the services, with responses of at most `response_cache_bytes` kept; 0: none. Before this, calls end with UNAVAILABLE.
  void Serve(Tagger& tagger, int64_t response_cache_bytes = 0) {
    answers_ = std::make_unique<CachingTagger>(response_cache_bytes, Sha256Of, tagger, clock_, metrics_);
    tagger_ = &tagger;
  }
  // Null before Serve.
  Tagger* tagger() const { return tagger_; }
  // The tagger's Tag and Embed behind the cache of responses; only once tagger() isn't null.
  CachingTagger& answers() const { return *answers_; }

  Clock& clock() const { return clock_; }
  Metrics& metrics() const { return metrics_; }

  // Who calls; counts a refusal.
  absl::StatusOr<Caller> Identify(const grpc::CallbackServerContext& context, bool stream) const;

  // Takes `bytes` of audio from what all calls together may hold; RESOURCE_EXHAUSTED with a retry delay, and counted, if
  // there is no room.
  absl::Status TakeBytes(int64_t bytes);
  // Gives back what TakeBytes took.
  void GiveBytes(int64_t bytes) { bytes_in_flight_.Give(bytes); }

  // A call that needs no audio: `fill`, given the tagger, which is null before Serve, says how it ends.
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext& context, absl::string_view method,
                                   absl::FunctionRef<absl::Status(const Tagger*)> fill);

  // Counts the call, logs it, echoes its x-request-id, and gives the status for the wire. `result`: what was scored, if all of
  // it was.
  grpc::Status Account(grpc::CallbackServerContext& context, absl::string_view method, absl::string_view client,
                       absl::Time arrival, const absl::Status& status, const CallResult* result = nullptr);

 private:
  const Authenticator* const authenticator_;
  RequestLog log_;
  Clock& clock_;
  Metrics& metrics_;
  ByteBudget bytes_in_flight_;
  std::unique_ptr<CachingTagger> answers_;
  std::atomic<Tagger*> tagger_{nullptr};  // set after `answers_`
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_CALL_GATE_H_
