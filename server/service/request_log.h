// A line in the log for each call: who, what, how it ended, and where its time went. No audio, no token.
//
// Thread-safe.
#ifndef CULTURETAG_SERVICE_REQUEST_LOG_H_
#define CULTURETAG_SERVICE_REQUEST_LOG_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log_limiter.h"
#include "service/tagger.h"

namespace culturetag {

struct RequestRecord {
  absl::string_view method;  // "Tag"
  absl::string_view code;    // "OK"
  absl::string_view error;   // the status' message
  std::string client;
  std::string request_id;   // the x-request-id metadata
  std::string traceparent;  // the metadata of that name (W3C Trace Context)
  absl::Duration total;
  const CallResult* result = nullptr;  // null: nothing was scored in full
};

class RequestLog {
 public:
  // Calls that were scored cost the device time, which bounds them. Of the others, which cost a flood's sender nothing, this
  // many a second have a line, and it says how many had none.
  static constexpr int kUnscoredLinesPerSecond = 100;

  // `clock` must outlive the log.
  RequestLog(bool enabled, Clock& clock) : enabled_(enabled), unscored_(kUnscoredLinesPerSecond, absl::Seconds(1), clock) {}

  void Write(const RequestRecord& record);

 private:
  const bool enabled_;
  LogLimiter unscored_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_REQUEST_LOG_H_
