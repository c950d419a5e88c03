// The audio that a load test sends.
#ifndef CULTURETAG_CLIENT_BENCH_CLIP_H_
#define CULTURETAG_CLIENT_BENCH_CLIP_H_

#include <string>

#include "absl/time/time.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

struct Clip {
  std::string name;
  v1::Audio audio;
};

// Of SyntheticClip: a gRPC message ends at 2 GiB, which is 12.4 h of its samples.
inline constexpr absl::Duration kLongestClip = absl::Hours(12);

// White noise of that length at 24 kHz in 16 bits: to a model it is as much work as music, and nobody needs to have
// any. Twice the same length is twice the same clip.
Clip SyntheticClip(absl::Duration length);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_CLIP_H_
