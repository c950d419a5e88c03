// What gRPC knows of a call besides its messages, in the server's own terms.
//
// Free functions and CallSlot are thread-safe.
#ifndef CULTURETAG_SERVICE_CALL_CONTEXT_H_
#define CULTURETAG_SERVICE_CALL_CONTEXT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/clock.h"
#include "grpcpp/server_context.h"
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

// The value of the metadata `key`, cut to a length that fits a log line; empty if there is none.
std::string MetadataValue(const grpc::CallbackServerContext& context, const char* key);

// Where a cancellation meets the tagger's calls that it cancels, one or more for each of gRPC's, whichever comes first: gRPC
// may tell of it while they start.
class CallSlot {
 public:
  void Add(std::shared_ptr<Tagger::Call> call) ABSL_LOCKS_EXCLUDED(mutex_);
  // The client gave up or its deadline passed: cancels the calls, those that come later, too.
  void OnCancel(const grpc::CallbackServerContext& context) ABSL_LOCKS_EXCLUDED(mutex_);
  // Likewise, for a reason of the server's own. Only the first reason counts.
  void Cancel(WasteReason reason, absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Reason {
    WasteReason waste;
    absl::Status status;
  };

  absl::Mutex mutex_;
  std::vector<std::shared_ptr<Tagger::Call>> calls_ ABSL_GUARDED_BY(mutex_);
  absl::optional<Reason> cancelled_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_CALL_CONTEXT_H_
