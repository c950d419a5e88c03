// Text for a terminal: what takes how many columns, and how columns align.
//
// All texts are UTF-8. Free functions on values and a value type; thread-safe as such.
#ifndef CULTURETAG_CLIENT_TEXT_LAYOUT_H_
#define CULTURETAG_CLIENT_TEXT_LAYOUT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace culturetag::client {

// `text` with U+FFFD in place of whatever isn't printable UTF-8: stray bytes, line breaks and other control characters.
// File names and servers may send anything, and none of it should steer a terminal.
std::string Printable(absl::string_view text);

// The columns that a terminal gives to printable text: 0 for a combining mark, 2 for a wide character.
int DisplayWidth(absl::string_view text);

// `text` broken at spaces into lines of at most `width` columns, `indent` spaces included, each ended by a line break.
// A word that is longer gets a line of its own.
std::string Wrap(absl::string_view text, int indent, int width);

// ANSI "select graphic rendition" codes.
inline constexpr absl::string_view kBold = "1";
inline constexpr absl::string_view kDim = "2";
inline constexpr absl::string_view kGreen = "32";

// `text` in the rendition `code`, or as it is where `code` is empty.
std::string Styled(absl::string_view text, absl::string_view code);

// Rows of cells whose columns align, two spaces apart, without spaces at the ends of lines.
class TextTable {
 public:
  struct Column {
    bool right_aligned = false;
    absl::string_view style;  // as for Styled; must outlive the table
  };

  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // At most one cell for each column; missing cells are empty.
  void AddRow(std::vector<std::string> cells) { rows_.push_back({std::move(cells), false}); }

  // A line of its own, printed as it is and without part in the alignment.
  void AddLine(std::string line) { rows_.push_back({{std::move(line)}, true}); }

  // Every row behind `indent` spaces and ended by a line break; lines of AddLine aren't indented.
  std::string Render(int indent) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    bool is_line = false;
  };

  std::string RenderRow(const Row& row, const std::vector<int>& widths) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TEXT_LAYOUT_H_
