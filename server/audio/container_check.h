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
};

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

// The integer of `width` <= 8 bytes at `offset`, which must lie inside `bytes`.
uint64_t ReadInteger(absl::string_view bytes, size_t offset, size_t width, bool big_endian);

// The error of a file that has only `present` of `promised` `units` ("bytes of samples").
absl::Status TruncatedError(absl::string_view format, uint64_t present, uint64_t promised, absl::string_view units);

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_CONTAINER_CHECK_H_
