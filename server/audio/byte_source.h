// Bytes that come one after the other: an upload, or what is in memory.
//
// Thread-compatible, unless an implementation says more.
#ifndef CULTURETAG_AUDIO_BYTE_SOURCE_H_
#define CULTURETAG_AUDIO_BYTE_SOURCE_H_

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace culturetag {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Fills the front of `to`, which isn't empty, with the next bytes and returns how many: at least one, or 0 at the end.
  // May block until they come. After an error there are no more.
  virtual absl::StatusOr<size_t> Read(absl::Span<char> to) = 0;
};

// The bytes of a view, which must outlive it.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(absl::string_view bytes) : rest_(bytes) {}

  absl::StatusOr<size_t> Read(absl::Span<char> to) override {
    const size_t count = std::min(to.size(), rest_.size());
    std::memcpy(to.data(), rest_.data(), count);
    rest_.remove_prefix(count);
    return count;
  }

 private:
  absl::string_view rest_;
};

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_BYTE_SOURCE_H_
