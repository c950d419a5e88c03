// Where arrivals come from: one after the other, in the order of time.
//
// Not thread-safe.
#ifndef CULTURETAG_SIMULATOR_TRACE_H_
#define CULTURETAG_SIMULATOR_TRACE_H_

#include <istream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "simulator/request.h"

namespace culturetag::simulator {

class Trace {
 public:
  virtual ~Trace() = default;

  // The next arrival, no earlier than the one before; nothing at the end.
  virtual absl::optional<Arrival> Next() = 0;
};

// Arrivals that are known beforehand, by ascending time.
class ListTrace final : public Trace {
 public:
  explicit ListTrace(std::vector<Arrival> arrivals) : arrivals_(std::move(arrivals)) {}
  absl::optional<Arrival> Next() override;

 private:
  const std::vector<Arrival> arrivals_;
  size_t next_ = 0;
};

// Several traces as one.
class MergedTrace final : public Trace {
 public:
  explicit MergedTrace(std::vector<std::unique_ptr<Trace>> traces);
  absl::optional<Arrival> Next() override;

 private:
  const std::vector<std::unique_ptr<Trace>> traces_;
  std::vector<absl::optional<Arrival>> heads_;  // of each trace
};

// A trace as a table with a header and, for each request, in any order of time,
//   time,client,priority,seconds,deadline,patience
// `time` in seconds from the start, `priority` "interactive" or "bulk", `seconds` of audio, `deadline` and `patience` in
// seconds from the request's time; those two may be empty, and `patience` may be left out. No quotes: a client's name holds
// no comma. INVALID_ARGUMENT names the first line that holds something else.
absl::StatusOr<std::vector<Arrival>> ReadTrace(std::istream& csv);

}  // namespace culturetag::simulator

#endif  // CULTURETAG_SIMULATOR_TRACE_H_
