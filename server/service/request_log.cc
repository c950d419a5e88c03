#include "service/request_log.h"

#include "absl/strings/str_format.h"
#include "base/logging.h"

namespace culturetag {
namespace {

std::string Milliseconds(absl::Duration duration) { return absl::StrFormat("%.1f", absl::ToDoubleMilliseconds(duration)); }

}  // namespace

void RequestLog::Write(const RequestRecord& record) {
  if (!enabled_) return;
  int64_t suppressed = 0;
  if (record.result == nullptr) {
    const absl::optional<int64_t> admitted = unscored_.Admit();
    if (!admitted.has_value()) return;
    suppressed = *admitted;
  }
  // Every line has every field, so that a log pipeline needs one rule.
  const CallResult nothing;
  const CallResult& result = record.result == nullptr ? nothing : *record.result;
  const auto log = record.code == "INTERNAL" ? LogError : LogInfo;
  log("request", {{"method", record.method},
                  {"code", record.code},
                  {"ms", Milliseconds(record.total)},
                  {"client", record.client},
                  {"request_id", record.request_id},
                  {"traceparent", record.traceparent},
                  {"model", result.model == nullptr ? "" : result.model->name},
                  {"version", result.model == nullptr ? "" : result.model->version},
                  {"windows", result.window_count},
                  {"decode_ms", Milliseconds(result.timing.decode)},
                  {"queue_ms", Milliseconds(result.timing.queue)},
                  {"inference_ms", Milliseconds(result.timing.inference)},
                  {"error", record.error},
                  {"suppressed", suppressed}});
}

}  // namespace culturetag
