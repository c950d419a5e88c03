// What gRPC knows of a call besides its messages, in the server's own terms.
//
// Free functions; thread-safe. CallSlot is thread-safe, too.
#ifndef CULTURETAG_SERVICE_CALL_CONTEXT_H_
#define CULTURETAG_SERVICE_CALL_CONTEXT_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "grpcpp/server_context.h"
#include "service/tagger.h"

namespace culturetag {

// gRPC's deadline, on the system's clock, as a time of `clock`.
absl::Time DeadlineOf(const grpc::CallbackServerContext& context, const Clock& clock);

// Whom the call counts for: the `x-client-id` metadata, or the peer's address without its port, which changes with each
// connection.
std::string ClientOf(const grpc::CallbackServerContext& context);

// Fills `options` with the above.
void FillFromContext(const grpc::CallbackServerContext& context, const Clock& clock, CallOptions& options);

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
