// A temporary file for audio that can't be decoded before all of it is there.
//
// It has no name: whatever happens to the process, it is gone with it. Thread-compatible.
#ifndef CULTURETAG_AUDIO_SPOOL_FILE_H_
#define CULTURETAG_AUDIO_SPOOL_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/byte_budget.h"

namespace culturetag {

struct SpoolOptions {
  std::string folder = "/tmp";
  ByteBudget* budget = nullptr;  // what all files together may take; not null, and outlives them
};

class SpoolFile {
 public:
  // RESOURCE_EXHAUSTED, with a retry delay, if the folder has no room or can't be written.
  static absl::StatusOr<std::unique_ptr<SpoolFile>> Create(const SpoolOptions& options);
  ~SpoolFile();

  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  // RESOURCE_EXHAUSTED, with a retry delay, if the budget or the disk has no room for them.
  absl::Status Append(absl::string_view bytes);

  // All that was appended. Valid as long as the file; call it once, after the last Append.
  absl::StatusOr<absl::string_view> Map();

 private:
  SpoolFile(const SpoolOptions& options, int descriptor) : options_(options), descriptor_(descriptor) {}

  const SpoolOptions options_;
  const int descriptor_;
  int64_t size_ = 0;
  void* mapping_ = nullptr;
};

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_SPOOL_FILE_H_
