// Answers as CSV (RFC 4180, but with line feeds), for spreadsheets and data frames. The columns are part of the
// client's interface: none is ever left out or renamed, and new ones come last.
//
// Pure functions.
#ifndef CULTURETAG_CLIENT_RENDER_CSV_H_
#define CULTURETAG_CLIENT_RENDER_CSV_H_

#include <string>

#include "absl/strings/string_view.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

// The first line, with its line break.
extern const char kCsvHeader[];

// A row for each tag of the file, then for each tag of its windows, which `window_start_seconds` tells from those of
// the whole. One row without a tag where there is none, so that every file has a row.
std::string TagsCsv(absl::string_view file, const v1::TagResponse& response);

// The file whose tag a row is: the first field of `row`.
std::string FileOfCsv(absl::string_view row);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_RENDER_CSV_H_
