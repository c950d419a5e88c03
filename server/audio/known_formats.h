// Which bytes may be given to libsndfile at all.
//
// libsndfile asks some thirty parsers whether they know a file, a few of them for formats that nobody sends and that it can't
// decode, and last of all it looks on the disk for a resource fork beside the file. Bytes that open like none of the formats
// that the server decodes (decoder.cc) don't get that far.
//
// Pure; thread-safe.
#ifndef CULTURETAG_AUDIO_KNOWN_FORMATS_H_
#define CULTURETAG_AUDIO_KNOWN_FORMATS_H_

#include "absl/strings/string_view.h"

namespace culturetag {

// Whether `bytes`, a file, open like one of a format that the server decodes. True for MPEG audio, which has no magic number, as
// soon as its first bytes may be a frame; CheckMpeg looks closer.
bool OpensLikeAudio(absl::string_view bytes);

}  // namespace culturetag

#endif  // CULTURETAG_AUDIO_KNOWN_FORMATS_H_
