// What libsndfile doesn't tell about a file: whether it ends before its own header says.
//
// libsndfile takes the length of the file for the truth, so that half of a WAV decodes without a word, and it refuses some
// of the placeholders that a writer leaves in a header when it can't seek back. These functions read only what is needed
// to tell those cases apart; everything else about a file is libsndfile's to judge, and bytes that they don't know pass.
//
// Pure functions on bytes; thread-safe. They read nothing outside `bytes` and take time linear in them.
#ifndef CULTURETAG_AUDIO_CONTAINER_CHECK_H_
#define CULTURETAG_AUDIO_CONTAINER_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace culturetag {

// Bytes that a reader should see in place of the file's own.
struct BytePatch {
  size_t offset = 0;
  std::string bytes;
};

// How to read a file.
struct ContainerView {
  // The front of the file that holds headers and audio; tags or garbage may follow.
  size_t size = 0;
  // The length to claim towards libsndfile, at least `size`; see CheckMpeg.
  int64_t claimed_size = 0;
  // Sizes in place of the placeholders of a writer that could not seek.
  std::vector<BytePatch> patches;
  // Frames of samples, where the check has counted them and libsndfile would guess: MPEG. Else 0.
  int64_t frame_count = 0;
  // Nobody knows how long the file is: it is decoded until its bytes end.
  bool open_ended = false;
};

// How to read a file of which only the front is there, so far.
enum class StreamKind {
  kUndecided,  // a longer front may tell
  kStream,     // in order, as the view says
  kMpeg,       // in order, by MpegScanner
  kWhole,      // only once all of it is there
};

// Tells from the first bytes of a file, its `front`, how to read it while the rest is still coming. `at_end`: no rest comes.
// Fills `view` for kStream. Never fails: what is wrong with the file shows when it is read.
StreamKind InspectFront(absl::string_view front, bool at_end, ContainerView& view);

// Looks at the magic number and applies the check below that fits; a kind without a check is viewed whole.
// INVALID_ARGUMENT, saying how much is there and how much was promised, if the file ends before its header says.
absl::StatusOr<ContainerView> CheckContainer(absl::string_view bytes);

// WAV, RF64, W64, AIFF, SVX and CAF: the size of the chunk that holds the samples. Sizes of 0 or all ones, as streaming
// writers leave them, are patched to what is there. Neither other chunks, the outer size nor a last padding byte matter.
absl::StatusOr<ContainerView> CheckChunks(absl::string_view bytes);

// AU: the size in its fixed header; 0 and all ones mean unknown.
absl::StatusOr<ContainerView> CheckAu(absl::string_view bytes);

// MIDI sample dump: every packet that the header promises stands in its place. libsndfile makes up the samples of those
// that don't, and complains on standard output.
absl::StatusOr<ContainerView> CheckSds(absl::string_view bytes);

// Ogg: every page is whole and has the right checksum, and every logical stream has its headers and its end-of-stream page.
// INVALID_ARGUMENT also for chained streams (one Ogg file after the other), of which libsndfile would decode only the first.
absl::StatusOr<ContainerView> CheckOgg(absl::string_view bytes);

// MPEG audio: frames follow one another up to the end, but for tags; the last frame is whole; the count in a Xing, Info or
// VBRI header is reached. Without such a header libsndfile guesses the length from the first frame's bit rate and stops
// there, so that `claimed_size` makes it guess too long.
absl::StatusOr<ContainerView> CheckMpeg(absl::string_view bytes);

// CheckMpeg for a file whose bytes come one after the other. Thread-compatible.
class MpegScanner {
 public:
  MpegScanner();
  ~MpegScanner();

  // `rest` holds the file's bytes from position() on, as far as they are there; `at_end`: all of them. Moves position() on as
  // far as they can be told, and returns by how many bytes. To be called again with what follows, until nothing does.
  // INVALID_ARGUMENT as CheckMpeg says.
  absl::StatusOr<size_t> Scan(absl::string_view rest, bool at_end);
  // What the end of the file leaves to be said. Call it once Scan has seen all.
  absl::Status Finish() const;

  uint64_t position() const { return position_; }
  // Where the last frame ends that was found, and the first one starts; equal until one is found.
  uint64_t frames_start() const { return frames_start_; }
  uint64_t frames_end() const { return frames_end_; }
  // Whether it can't be this scanner's: another format behind a tag, or MPEG's free format.
  bool other_format() const { return other_format_; }
  // By the header of the first frame, if that says so; the frame with the count holds no audio.
  bool has_promise() const;
  // Samples of each channel in the frames found.
  int64_t sample_count() const;

 private:
  struct Stream;

  absl::StatusOr<size_t> Step(absl::string_view rest, bool at_end);
  absl::StatusOr<size_t> FindFirst(absl::string_view rest, bool at_end);
  absl::StatusOr<size_t> SkipJunk(absl::string_view rest, bool at_end);

  std::unique_ptr<Stream> stream_;  // what the first frame says
  uint64_t position_ = 0;
  uint64_t frames_start_ = 0;
  uint64_t frames_end_ = 0;
  uint64_t frame_count_ = 0;
  uint64_t skip_ = 0;  // of a tag, from position() on
  bool other_format_ = false;
  bool in_junk_ = false;  // behind the last frame stands something that is neither frame nor tag
};

// The integer of `width` <= 8 bytes at `offset`, which must lie inside `bytes`.
uint64_t ReadInteger(absl::string_view bytes, size_t offset, size_t width, bool big_endian);

// The error of a file that has only `present` of `promised` `units` ("bytes of samples").
absl::Status TruncatedError(absl::string_view format, uint64_t present, uint64_t promised, absl::string_view units);

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_CONTAINER_CHECK_H_
