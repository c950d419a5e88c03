#include "audio/spool_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/error_details.h"

namespace culturetag {
namespace {

// About the time in which another upload ends and gives its room back.
constexpr absl::Duration kRetryDelay = absl::Seconds(10);

absl::Status NoRoom(absl::string_view why) {
  return RetryLater(absl::StrCat("there is no room for a file of this kind, which must be uploaded whole before it can be "
                                 "decoded (", why, "); FLAC, MP3, WAV and PCM need none"),
                    kRetryDelay);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpoolFile>> SpoolFile::Create(const SpoolOptions& options) {
  std::string name = options.folder + "/culturetag-XXXXXX";
  const int descriptor = mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) return NoRoom(std::strerror(errno));
  unlink(name.c_str());
  return std::unique_ptr<SpoolFile>(new SpoolFile(options, descriptor));
}

SpoolFile::~SpoolFile() {
  if (mapping_ != nullptr) munmap(mapping_, static_cast<size_t>(size_));
  close(descriptor_);
  options_.budget->Give(size_);
}

absl::Status SpoolFile::Append(absl::string_view bytes) {
  if (!options_.budget->TryTake(static_cast<int64_t>(bytes.size()))) return NoRoom("--max_spool_bytes is reached");
  size_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return NoRoom(std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> SpoolFile::Map() {
  if (size_ == 0) return absl::string_view();
  void* const mapping = mmap(nullptr, static_cast<size_t>(size_), PROT_READ, MAP_PRIVATE, descriptor_, 0);
  if (mapping == MAP_FAILED) return NoRoom(std::strerror(errno));
  mapping_ = mapping;
  madvise(mapping_, static_cast<size_t>(size_), MADV_SEQUENTIAL);
  return absl::string_view(static_cast<const char*>(mapping_), static_cast<size_t>(size_));
}

}  // namespace culturetag
