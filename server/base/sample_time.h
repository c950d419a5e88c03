// Samples as time.
#ifndef CULTURETAG_BASE_SAMPLE_TIME_H_
#define CULTURETAG_BASE_SAMPLE_TIME_H_

#include <cstdint>

#include "absl/time/time.h"

namespace culturetag {

// How long `samples` last at `rate_hz` > 0.
inline absl::Duration SamplesToDuration(int64_t samples, int rate_hz) { return absl::Seconds(1) * samples / rate_hz; }

}  // namespace culturetag

#endif  // CULTURETAG_BASE_SAMPLE_TIME_H_
