#include "base/logging.h"

#include <atomic>
#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace culturetag {
namespace {

std::atomic<LogFormat> log_format{LogFormat::kText};

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* created = new spdlog::logger("culturetag", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_pattern("%v");
    created->flush_on(spdlog::level::info);
    return created;
  }();
  return *logger;
}

// Quotes `text` as a JSON string; text lines use the same form. Control characters and everything that a terminal could
// take for one are escaped; bytes above 127 pass, since labels are UTF-8.
std::string Quote(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&quoted, "\\u", absl::Hex(byte, absl::kZeroPad4));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

void Write(spdlog::level::level_enum severity, absl::string_view level, absl::string_view message,
           absl::Span<const LogField> fields) {
  const LogFormat format = log_format.load(std::memory_order_relaxed);
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  const std::string line = FormatLogLine(format, level, message, fields);
  if (format == LogFormat::kJson) {
    Logger().log(severity, "{{\"time\":\"{}\",{}", time, line.substr(1));
  } else {
    Logger().log(severity, "{} {}", time, line);
  }
}

}  // namespace

void SetLogFormat(LogFormat format) { log_format.store(format, std::memory_order_relaxed); }

std::string FormatLogLine(LogFormat format, absl::string_view level, absl::string_view message,
                          absl::Span<const LogField> fields) {
  if (format == LogFormat::kJson) {
    std::string line = absl::StrCat("{\"level\":\"", level, "\",\"message\":", Quote(message));
    for (const LogField& field : fields) absl::StrAppend(&line, ",", Quote(field.key()), ":", Quote(field.value()));
    return line + "}";
  }
  std::string line = absl::StrCat(level, " ", message);
  for (const LogField& field : fields) {
    const bool plain = !field.value().empty() && field.value().find_first_of(" \"\\=\n\r\t\x1b\x7f") == std::string::npos;
    absl::StrAppend(&line, " ", field.key(), "=", plain ? field.value() : Quote(field.value()));
  }
  return line;
}

void LogInfo(absl::string_view message, absl::Span<const LogField> fields) {
  Write(spdlog::level::info, "info", message, fields);
}

void LogWarning(absl::string_view message, absl::Span<const LogField> fields) {
  Write(spdlog::level::warn, "warning", message, fields);
}

void LogError(absl::string_view message, absl::Span<const LogField> fields) {
  Write(spdlog::level::err, "error", message, fields);
}

}  // namespace culturetag
