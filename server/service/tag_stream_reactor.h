// One TagStream call: messages in, results out, and flow control between them.
//
// A chunk is read from the network when the decoder has taken the one before, and a window's place is free for another when
// its result has been written: so a slow device holds up the sender, and a slow reader the decoder, instead of filling the
// memory.
//
// Deletes itself when gRPC is done with it. The gate must outlive it.
#ifndef CULTURETAG_SERVICE_TAG_STREAM_REACTOR_H_
#define CULTURETAG_SERVICE_TAG_STREAM_REACTOR_H_

#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "culturetag/v1/tagging.grpc.pb.h"
#include "service/call_gate.h"
#include "service/tagger.h"

namespace culturetag {

class TagStreamReactor final : public grpc::ServerBidiReactor<v1::TagStreamRequest, v1::TagStreamResponse>,
                               private StreamListener {
 public:
  TagStreamReactor(CallGate& gate, grpc::CallbackServerContext& context);

  ~TagStreamReactor() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // StreamListener.
  void OnWantData() override;
  void OnWindow(const ModelSpec& model, WindowTags window) override;
  void OnEnd(absl::StatusOr<TagResult> result) override;

  // Ends a stream whose config doesn't come, or whose last results aren't taken. In between the tagger watches over it.
  struct Timer;

  absl::Duration idle_timeout() const;
  void OnConfigTimeout();
  void OnWriteTimeout();
  void TakeConfig();
  void TakeData();
  void Write(std::unique_ptr<v1::TagStreamResponse> response) ABSL_LOCKS_EXCLUDED(mutex_);
  // Nothing more is to be written than what waits, and then `status`. No effect if that was said before.
  void End(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  void FinishIfDone() ABSL_LOCKS_EXCLUDED(mutex_);

  CallGate& gate_;
  grpc::CallbackServerContext& context_;
  Tagger* const tagger_;  // nullptr: still loading
  absl::StatusOr<Caller> caller_;
  const absl::Time arrival_;
  CallSlot slot_;
  std::unique_ptr<Timer> config_timer_;
  v1::TagStreamRequest request_;            // the message that is read
  std::shared_ptr<Tagger::Stream> stream_;  // once its config is there
  int64_t bytes_in_flight_ = 0;             // of the chunk that is with the decoder
  absl::optional<CallResult> result_;       // of a call that was scored to its end; written before its summary is

  absl::Mutex mutex_;
  std::deque<std::unique_ptr<v1::TagStreamResponse>> responses_ ABSL_GUARDED_BY(mutex_);  // the first is being written
  absl::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Timer> write_timer_ ABSL_GUARDED_BY(mutex_);  // last, so that it stops before the rest is gone
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_TAG_STREAM_REACTOR_H_
