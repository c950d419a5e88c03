// Short ways to write down what arrives.
#ifndef CULTURETAG_TESTS_SIMULATOR_ARRIVALS_H_
#define CULTURETAG_TESTS_SIMULATOR_ARRIVALS_H_

#include <memory>
#include <string>

#include "simulator/request.h"

namespace culturetag::simulator {

inline absl::Time At(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

// `audio` seconds of `client`, that arrive `at` seconds after the start.
inline Arrival Arrive(double at, const std::string& client, double audio) {
  Arrival arrival;
  arrival.time = At(at);
  arrival.client = client;
  arrival.audio = absl::Seconds(audio);
  return arrival;
}

inline std::shared_ptr<Request> MakeRequest(double at, const std::string& client, double audio) {
  return std::make_shared<Request>(Arrive(at, client, audio));
}

// A device whose passes take `fixed` and, for each window, `window`.
inline DeviceCurve AffineCurve(absl::Duration fixed, absl::Duration window) {
  DeviceCurve curve;
  curve.name = "affine";
  curve.fixed = fixed;
  curve.points = {{1, window}};
  return curve;
}

}  // namespace culturetag::simulator

#endif  // CULTURETAG_TESTS_SIMULATOR_ARRIVALS_H_
