// Bytes that come in pieces, as an upload's do.
#ifndef CULTURETAG_TESTS_AUDIO_CHUNKED_SOURCE_H_
#define CULTURETAG_TESTS_AUDIO_CHUNKED_SOURCE_H_

#include <functional>
#include <utility>

#include "audio/byte_source.h"

namespace culturetag {

class ChunkedSource final : public ByteSource {
 public:
  // Each Read returns at most `next_size()` bytes, of which it returns at least one.
  ChunkedSource(absl::string_view bytes, std::function<size_t()> next_size) : rest_(bytes), next_size_(std::move(next_size)) {}

  // Reads fail once `bytes` have been read.
  void FailAfter(size_t bytes, absl::Status status) {
    fail_after_ = bytes;
    failure_ = std::move(status);
  }

  absl::StatusOr<size_t> Read(absl::Span<char> to) override {
    if (!failure_.ok() && read_ >= fail_after_) return failure_;
    const size_t count = std::min({to.size(), rest_.size(), std::max<size_t>(1, next_size_())});
    std::memcpy(to.data(), rest_.data(), count);
    rest_.remove_prefix(count);
    read_ += count;
    return count;
  }

  size_t read() const { return read_; }

 private:
  absl::string_view rest_;
  const std::function<size_t()> next_size_;
  size_t read_ = 0;
  size_t fail_after_ = 0;
  absl::Status failure_;
};

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_AUDIO_CHUNKED_SOURCE_H_
