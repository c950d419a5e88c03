#include "service/upload_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace culturetag {

void UploadBuffer::Write(std::string chunk) {
  {
    absl::MutexLock lock(&mutex_);
    if (!chunk.empty()) {
      chunk_.swap(chunk);
      read_ = 0;
      return;
    }
  }
  on_want_data_();
}

void UploadBuffer::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

void UploadBuffer::Fail(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  status_.Update(std::move(status));
}

absl::StatusOr<size_t> UploadBuffer::Read(absl::Span<char> to) {
  size_t count = 0;
  bool want_data = false;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time start = clock_.Now();
    const bool news = clock_.AwaitUntil(mutex_, absl::Condition(this, &UploadBuffer::HasNews), start + idle_timeout_);
    waited_ += clock_.Now() - start;
    if (!news) {
      return absl::DeadlineExceededError(absl::StrCat("no data came for ", absl::FormatDuration(idle_timeout_),
                                                      "; half-close the stream when there is no more"));
    }
    if (!status_.ok()) return status_;
    count = std::min(to.size(), chunk_.size() - read_);
    std::memcpy(to.data(), chunk_.data() + read_, count);
    read_ += count;
    want_data = count > 0 && read_ == chunk_.size();
    if (want_data) {
      std::string().swap(chunk_);  // gives the memory back, which clear() would keep
      read_ = 0;
    }
  }
  if (want_data) on_want_data_();
  return count;
}

}  // namespace culturetag
