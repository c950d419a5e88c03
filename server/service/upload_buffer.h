// The bytes of an upload on their way from the network to a decoder, which reads them on a thread of its own.
//
// It holds little: whoever writes asks `wants_data` before the next chunk, or waits for the call of `on_want_data`.
//
// Thread-safe: one thread reads, others write.
#ifndef CULTURETAG_SERVICE_UPLOAD_BUFFER_H_
#define CULTURETAG_SERVICE_UPLOAD_BUFFER_H_

#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "audio/byte_source.h"
#include "base/clock.h"

namespace culturetag {

class UploadBuffer final : public ByteSource {
 public:
  // `on_want_data` is called, on the reader's thread, once for each chunk when it has been read. A reader that waits
  // `idle_timeout` for the next byte gets DEADLINE_EXCEEDED. `clock` must outlive the buffer.
  UploadBuffer(absl::Duration idle_timeout, Clock& clock, std::function<void()> on_want_data)
      : idle_timeout_(idle_timeout), clock_(clock), on_want_data_(std::move(on_want_data)) {}

  // Appends `chunk`. Only while nothing is unread; an empty one wants the next at once.
  void Write(std::string chunk) ABSL_LOCKS_EXCLUDED(mutex_);
  // No chunk follows.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  // Reads fail with `status` from now on, also one that waits.
  void Fail(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<size_t> Read(absl::Span<char> to) override ABSL_LOCKS_EXCLUDED(mutex_);

  // How long the reader has waited so far. The reader's to ask.
  absl::Duration waited() const { return waited_; }

 private:
  bool HasNews() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !status_.ok() || closed_ || read_ < chunk_.size(); }

  const absl::Duration idle_timeout_;
  Clock& clock_;
  const std::function<void()> on_want_data_;
  absl::Duration waited_;  // the reader's

  absl::Mutex mutex_;
  std::string chunk_ ABSL_GUARDED_BY(mutex_);
  size_t read_ ABSL_GUARDED_BY(mutex_) = 0;  // of chunk_
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_UPLOAD_BUFFER_H_
