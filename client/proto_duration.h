// Durations of the wire as Abseil's.
#ifndef CULTURETAG_CLIENT_PROTO_DURATION_H_
#define CULTURETAG_CLIENT_PROTO_DURATION_H_

#include <google/protobuf/duration.pb.h>

#include "absl/time/time.h"

namespace culturetag::client {

inline absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_PROTO_DURATION_H_
