// One TagStream call from its first message to its status, with blocking calls: the calling thread takes the answers, a
// second one sends.
#ifndef CULTURETAG_CLIENT_STREAM_ATTEMPT_H_
#define CULTURETAG_CLIENT_STREAM_ATTEMPT_H_

#include <functional>
#include <thread>

#include <grpcpp/grpcpp.h>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "client/audio_file.h"
#include "client/failure.h"
#include "culturetag/v1/tagging.grpc.pb.h"

namespace culturetag::client {

// Cancels a call in which nothing has moved for a while. (A deadline would need to know how long a stream takes.)
class StallGuard {
 public:
  // `context` must outlive it.
  StallGuard(absl::Duration limit, grpc::ClientContext& context);
  ~StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  // Something moved.
  void Progress() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether it has cancelled the call.
  bool stalled() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Watch() ABSL_LOCKS_EXCLUDED(mutex_);

  const absl::Duration limit_;
  grpc::ClientContext& context_;
  mutable absl::Mutex mutex_;
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex_) = absl::Now();
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses all of the above
};

struct StreamResult {
  grpc::Status status;
  bool answered = false;  // whether any window came: the caller has seen it, so that nothing can be taken back
  absl::optional<v1::TagResponse> summary;
  absl::optional<Failure> read_failure;  // of the input, for which the call was then cancelled
  bool stalled = false;
};

// `context` carries metadata. `stall_limit` may be infinite.
StreamResult AttemptStream(v1::TaggingService::Stub& stub, grpc::ClientContext& context,
                           const v1::TagStreamConfig& config, const AudioInput& audio, absl::Duration stall_limit,
                           const std::function<void(const v1::WindowResult&)>& on_window);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_STREAM_ATTEMPT_H_
