#include "client/render_csv.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace culturetag::client {
namespace {

std::string Field(absl::string_view text) {
  if (text.find_first_of(",\"\n\r") == absl::string_view::npos) return std::string(text);
  // A row is a line, also to tools that know nothing of quotes.
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}, {"\n", "\uFFFD"}, {"\r", "\uFFFD"}}), "\"");
}

void AppendRows(absl::string_view file, absl::string_view window_start,
                const google::protobuf::RepeatedPtrField<v1::HeadResult>& heads, std::string& rows) {
  for (const v1::HeadResult& head : heads) {
    for (const v1::Tag& tag : head.tags()) {
      absl::StrAppend(&rows, Field(file), ",", window_start, ",", Field(head.head()), ",", Field(tag.category()), ",",
                      Field(tag.label()), ",", tag.score(), "\n");
    }
  }
}

}  // namespace

const char kCsvHeader[] = "file,window_start_seconds,head,category,label,score\n";

std::string TagsCsv(absl::string_view file, const v1::TagResponse& response) {
  std::string rows;
  AppendRows(file, "", response.heads(), rows);
  for (const v1::WindowResult& window : response.windows()) {
    const google::protobuf::Duration& start = window.start_offset();
    AppendRows(file, absl::StrFormat("%d.%03d", start.seconds(), start.nanos() / 1'000'000), window.heads(), rows);
  }
  return rows.empty() ? absl::StrCat(Field(file), ",,,,,\n") : rows;
}

std::string FileOfCsv(absl::string_view row) {
  if (row.empty() || row.front() != '"') return std::string(row.substr(0, row.find(',')));
  std::string file;
  for (std::size_t i = 1; i < row.size(); ++i) {
    if (row[i] == '"' && (i + 1 == row.size() || row[++i] != '"')) break;
    file.push_back(row[i]);
  }
  return file;
}

}  // namespace culturetag::client
