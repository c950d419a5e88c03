#include "client/text_layout.h"

#include <locale.h>
#include <wchar.h>
#include <wctype.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace culturetag::client {
namespace {

constexpr absl::string_view kReplacement = "\uFFFD";

// Sets this thread's character classes to those of UTF-8, whatever the user's locale is.
class Utf8Locale {
 public:
  Utf8Locale() : previous_(uselocale(Utf8())) {}
  ~Utf8Locale() { uselocale(previous_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }

  const locale_t previous_;
};

struct Character {
  std::size_t size = 1;  // in bytes
  int width = -1;        // in columns; -1: not printable
};

// The first character of `text`, which isn't empty. Needs a Utf8Locale in scope.
Character FirstCharacter(absl::string_view text) {
  mbstate_t state{};
  wchar_t code = 0;
  const std::size_t size = mbrtowc(&code, text.data(), text.size(), &state);
  if (size == 0 || size > text.size()) return {};
  return {size, wcwidth(code)};
}

}  // namespace

std::string Printable(absl::string_view text) {
  const Utf8Locale utf8;
  std::string printable;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    absl::StrAppend(&printable, character.width < 0 ? kReplacement : text.substr(0, character.size));
    text.remove_prefix(character.size);
  }
  return printable;
}

int DisplayWidth(absl::string_view text) {
  const Utf8Locale utf8;
  int width = 0;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    width += std::max(character.width, 0);
    text.remove_prefix(character.size);
  }
  return width;
}

std::string Wrap(absl::string_view text, int indent, int width) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  std::string lines;
  int column = 0;  // 0: at the start of a line
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const int word_width = DisplayWidth(word);
    if (column > 0 && column + 1 + word_width > width) {
      absl::StrAppend(&lines, "\n");
      column = 0;
    }
    absl::StrAppend(&lines, column == 0 ? margin : " ", word);
    column = (column == 0 ? indent : column + 1) + word_width;
  }
  if (!lines.empty()) absl::StrAppend(&lines, "\n");
  return lines;
}

std::string Styled(absl::string_view text, absl::string_view code) {
  if (code.empty() || text.empty()) return std::string(text);
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

std::string TextTable::Render(int indent) const {
  std::vector<int> widths(columns_.size(), 0);
  for (const Row& row : rows_) {
    if (row.is_line) continue;
    for (std::size_t i = 0; i < row.cells.size(); ++i) widths[i] = std::max(widths[i], DisplayWidth(row.cells[i]));
  }
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  std::string text;
  for (const Row& row : rows_) {
    absl::StrAppend(&text, row.is_line ? row.cells.front() : absl::StrCat(margin, RenderRow(row, widths)), "\n");
  }
  return text;
}

std::string TextTable::RenderRow(const Row& row, const std::vector<int>& widths) const {
  std::string line;
  std::size_t gap = 0;  // spaces owed before the next cell that has text
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    const std::string& cell = row.cells[i];
    const auto padding = static_cast<std::size_t>(widths[i] - DisplayWidth(cell));
    if (columns_[i].right_aligned) gap += padding;
    if (!cell.empty()) {
      absl::StrAppend(&line, std::string(gap, ' '), Styled(cell, columns_[i].style));
      gap = 0;
    }
    gap += columns_[i].right_aligned ? 2 : padding + 2;
  }
  return line;
}

}  // namespace culturetag::client
