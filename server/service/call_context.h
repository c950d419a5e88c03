// What gRPC knows of a call besides its messages, in the server's own terms.
//
// Free functions and CallSlot are thread-safe.
#ifndef CULTURETAG_SERVICE_CALL_CONTEXT_H_
#define CULTURETAG_SERVICE_CALL_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/clock.h"
#include "grpcpp/server_context.h"
#include "observability/metrics.h"
#include "service/authenticator.h"
#include "service/tagger.h"

namespace culturetag {

// gRPC's deadline, on the system's clock, as a time of `clock`.
absl::Time DeadlineOf(const grpc::CallbackServerContext& context, const Clock& clock);

// Who calls, and what the call counts against. Move-only; ends what it began. Thread-compatible.
class Caller {
 public:
  // With an `authenticator`: the client whose token the `authorization` metadata holds. Without: the `x-client-id` metadata, or
  // the peer's address without its port, which changes with each connection; anyone may call. UNAUTHENTICATED for a token
  // that is missing or wrong, RESOURCE_EXHAUSTED with a retry delay for a client that has used up one of its limits.
  static absl::StatusOr<Caller> Identify(const grpc::CallbackServerContext& context, const Authenticator* authenticator,
                                         bool stream);
  ~Caller();
  Caller(Caller&& other) noexcept = default;
  Caller& operator=(Caller&&) = delete;

  const std::string& client() const { return client_; }
  // Counts audio that was tagged against the client's limit.
  void Charge(absl::Duration audio);

 private:
  Caller(std::string client, std::shared_ptr<ClientQuota> quota, bool stream)
      : client_(std::move(client)), quota_(std::move(quota)), stream_(stream) {}

  std::string client_;
  std::shared_ptr<ClientQuota> quota_;  // null: without limits, or moved from
  bool stream_;
};

// The status of a call that comes before the models are there.
absl::Status Loading();

// Takes `bytes` of audio from what all calls together may hold; RESOURCE_EXHAUSTED with a retry delay, and counted, if there
// is no room.
absl::Status TakeBytes(int64_t bytes, ByteBudget& budget, Metrics& metrics);

// The value of the metadata `key`, cut to a length that fits a log line; empty if there is none.
std::string MetadataValue(const grpc::CallbackServerContext& context, const char* key);

// Where a cancellation meets the call that it cancels, whichever comes first: gRPC may tell of it while the call starts.
class CallSlot {
 public:
  void Set(std::shared_ptr<Tagger::Call> call) ABSL_LOCKS_EXCLUDED(mutex_);
  // The client gave up or its deadline passed: cancels the call, now or once it is set.
  void OnCancel(const grpc::CallbackServerContext& context) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Cancel(Tagger::Call& call, bool expired);

  absl::Mutex mutex_;
  std::shared_ptr<Tagger::Call> call_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool expired_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_CALL_CONTEXT_H_
