// Files for a decoder that wants to seek: of bytes in memory, or of bytes that are still coming.
//
// Thread-compatible.
#ifndef CULTURETAG_AUDIO_VIRTUAL_FILE_H_
#define CULTURETAG_AUDIO_VIRTUAL_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "audio/byte_source.h"
#include "audio/container_check.h"

namespace culturetag {

// A read-only file as a ContainerView shows it. Positions beyond the end are legal, as in a file; reads there return nothing,
// but for the place at the end of the claimed size where mpg123 looks for an ID3v1 tag and takes a file that it can't read
// there for one without a length.
class VirtualFile {
 public:
  explicit VirtualFile(ContainerView view) : view_(std::move(view)) {}
  virtual ~VirtualFile() = default;

  int64_t size() const { return view_.claimed_size; }
  int64_t position() const { return position_; }
  const ContainerView& view() const { return view_; }

  // As lseek; -1 for what has no meaning.
  int64_t Seek(int64_t offset, int whence);
  // As read: fewer bytes than `count` only at the end, or after an error.
  int64_t Read(char* to, int64_t count);
  // What went wrong while reading.
  virtual absl::Status status() const { return absl::OkStatus(); }

 protected:
  // The bytes from `position` on, as many of `count` > 0 as there are.
  virtual int64_t ReadAt(int64_t position, char* to, int64_t count) = 0;

 private:
  const ContainerView view_;
  int64_t position_ = 0;
};

// `bytes` must outlive it.
class MemoryFile final : public VirtualFile {
 public:
  MemoryFile(absl::string_view bytes, ContainerView view) : VirtualFile(std::move(view)), bytes_(bytes.substr(0, this->view().size)) {}

 private:
  int64_t ReadAt(int64_t position, char* to, int64_t count) override;

  const absl::string_view bytes_;
};

// A file whose bytes come from `source`, after `front`, which has been read from it already. Reading blocks until they come.
// Up to StartForgetting everything is kept, so that headers can be read in any order; from then on only the last few. It is
// an error to go back beyond them, or for headers to be larger than kMaxKeptBytes.
class StreamFile final : public VirtualFile {
 public:
  static constexpr size_t kMaxKeptBytes = size_t{32} << 20;

  StreamFile(ByteSource& source, std::string front, ContainerView view);

  void StartForgetting() { forgetting_ = true; }
  absl::Status status() const override { return status_; }

 private:
  int64_t ReadAt(int64_t position, char* to, int64_t count) override;
  // Reads on until byte `end` is there. False at the end of the source or after an error.
  bool FillUpTo(int64_t end);

  ByteSource& source_;
  std::string kept_;
  int64_t kept_from_ = 0;  // where kept_ stands in the file
  bool forgetting_ = false;
  bool ended_ = false;
  absl::Status status_;
};

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_VIRTUAL_FILE_H_
