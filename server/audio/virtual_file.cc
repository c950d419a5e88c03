#include "audio/virtual_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace culturetag {
namespace {

constexpr int64_t kId3v1Size = 128;

// Enough for a decoder that steps back to the start of a frame.
constexpr int64_t kKeptBehind = 1 << 16;

constexpr size_t kReadBytes = 1 << 16;

constexpr size_t kMaxIdleCapacity = 1 << 20;

}  // namespace

int64_t VirtualFile::Seek(int64_t offset, int whence) {
  const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position_ : size();
  // Header fields reach this as they are: no sum may overflow, no position may be negative.
  int64_t target = 0;
  if (__builtin_add_overflow(base, offset, &target) || target < 0) return -1;
  position_ = target;
  return position_;
}

int64_t VirtualFile::Read(char* to, int64_t count) {
  const auto end = static_cast<int64_t>(view_.size);
  if (position_ >= end && position_ == size() - kId3v1Size && count == kId3v1Size) {
    std::memset(to, 0, kId3v1Size);
    return kId3v1Size;
  }
  count = std::min(count, end - position_);
  if (count <= 0) return 0;
  const int64_t got = ReadAt(position_, to, count);
  for (const BytePatch& patch : view_.patches) {
    for (size_t i = 0; i < patch.bytes.size(); ++i) {
      const int64_t index = static_cast<int64_t>(patch.offset + i) - position_;
      if (index >= 0 && index < got) to[index] = patch.bytes[i];
    }
  }
  position_ += got;
  return got;
}

int64_t MemoryFile::ReadAt(int64_t position, char* to, int64_t count) {
  count = std::min(count, static_cast<int64_t>(bytes_.size()) - position);
  if (count <= 0) return 0;
  std::memcpy(to, bytes_.data() + position, static_cast<size_t>(count));
  return count;
}

StreamFile::StreamFile(ByteSource& source, std::string front, ContainerView view)
    : VirtualFile(std::move(view)), source_(source), kept_(std::move(front)) {}

int64_t StreamFile::ReadAt(int64_t position, char* to, int64_t count) {
  if (position < kept_from_) {
    status_.Update(absl::InvalidArgumentError("the file can't be decoded while it is uploaded: its parts are out of order"));
    return 0;
  }
  int64_t got = 0;
  while (got < count && FillUpTo(position + got + 1)) {
    const int64_t offset = position + got - kept_from_;
    const int64_t present = std::min(count - got, static_cast<int64_t>(kept_.size()) - offset);
    std::memcpy(to + got, kept_.data() + offset, static_cast<size_t>(present));
    got += present;
  }
  return got;
}

bool StreamFile::FillUpTo(int64_t end) {
  while (kept_from_ + static_cast<int64_t>(kept_.size()) < end) {
    if (ended_ || !status_.ok()) return false;
    const auto behind = end - kKeptBehind - kept_from_;
    if (forgetting_ && behind > kKeptBehind) {  // not each time: what is kept has to move
      const auto forgotten = std::min(static_cast<size_t>(behind), kept_.size());
      kept_.erase(0, forgotten);
      if (kept_.capacity() > kMaxIdleCapacity) kept_.shrink_to_fit();  // of large headers
      kept_from_ += static_cast<int64_t>(forgotten);
    }
    if (!forgetting_ && kept_.size() > kMaxKeptBytes) {
      status_ = absl::InvalidArgumentError("the file's headers are larger than 32 MiB");
      return false;
    }
    const size_t before = kept_.size();
    kept_.resize(before + kReadBytes);
    const absl::StatusOr<size_t> read = source_.Read(absl::MakeSpan(&kept_[before], kReadBytes));
    kept_.resize(before + read.value_or(0));
    if (!read.ok()) status_ = read.status();
    ended_ = read.ok() && *read == 0;
  }
  return true;
}

}  // namespace culturetag
