// The process's log: one line an event, on standard error, as text or as JSON.
//
// Thread-safe. A line is a message and key-value fields, so that a log pipeline can filter without parsing sentences. No
// audio, token or other content of a request belongs in a field.
#ifndef CULTURETAG_BASE_LOGGING_H_
#define CULTURETAG_BASE_LOGGING_H_

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace culturetag {

enum class LogFormat { kText, kJson };

// Chooses the form of all later lines. Text until it is called.
void SetLogFormat(LogFormat format);

// A key and the printed form of its value: a string, a number, or whatever absl::StrCat takes.
class LogField {
 public:
  template <typename T>
  LogField(absl::string_view key, const T& value) : key_(key), value_(absl::StrCat(value)) {}

  absl::string_view key() const { return key_; }
  const std::string& value() const { return value_; }

 private:
  absl::string_view key_;
  std::string value_;
};

void LogInfo(absl::string_view message, absl::Span<const LogField> fields = {});
void LogWarning(absl::string_view message, absl::Span<const LogField> fields = {});
void LogError(absl::string_view message, absl::Span<const LogField> fields = {});

// The line that the functions above print, without its time and level. Strings are escaped, so that hostile bytes can
// neither break a line in two nor forge a field.
std::string FormatLogLine(LogFormat format, absl::string_view level, absl::string_view message,
                          absl::Span<const LogField> fields);

}  // namespace culturetag

#endif  // CULTURETAG_BASE_LOGGING_H_
