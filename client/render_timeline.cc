#include "client/render_timeline.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "client/text_layout.h"

namespace culturetag::client {
namespace {

constexpr absl::string_view kLevels[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr int kMargin = 4;
// Labels, scores and the gaps between them.
constexpr int kReservedColumns = 36;
constexpr int kMinColumns = 20;

// The score of a tag in each window; 0 where the window doesn't have it.
std::vector<float> ScoresOverTime(const v1::TagResponse& response, int head, const std::string& label) {
  std::vector<float> scores;
  for (const v1::WindowResult& window : response.windows()) {
    const auto& tags = window.heads(head).tags();
    const auto tag = std::find_if(tags.begin(), tags.end(), [&label](const v1::Tag& t) { return t.label() == label; });
    scores.push_back(tag == tags.end() ? 0 : tag->score());
  }
  return scores;
}

std::string Row(const std::vector<float>& scores, std::size_t columns) {
  columns = std::min(columns, scores.size());
  std::string row;
  for (std::size_t column = 0; column < columns; ++column) {
    const auto begin = scores.begin() + static_cast<std::ptrdiff_t>(column * scores.size() / columns);
    const auto end = scores.begin() + static_cast<std::ptrdiff_t>((column + 1) * scores.size() / columns);
    const float score = std::clamp(*std::max_element(begin, end), 0.0f, 1.0f);
    absl::StrAppend(&row, kLevels[std::lround(score * 8)]);
  }
  return row;
}

std::string Clock(const google::protobuf::Duration& time) {
  return absl::StrFormat("%d:%02d", time.seconds() / 60, time.seconds() % 60);
}

}  // namespace

std::string TimelineText(const v1::TagResponse& response, int tag_count, const TextStyle& style) {
  const auto columns = static_cast<std::size_t>(std::max(style.width - kReservedColumns, kMinColumns));
  TextTable table({{}, {false, style.decorated ? kGreen : ""}, {true, {}}});
  for (int head = 0; head < response.heads_size(); ++head) {
    const v1::HeadResult& result = response.heads(head);
    table.AddLine(absl::StrCat("  ", Styled(Printable(result.head()), style.decorated ? kBold : "")));
    const int count = tag_count == 0 ? result.tags_size() : std::min(tag_count, result.tags_size());
    for (int i = 0; i < count; ++i) {
      const v1::Tag& tag = result.tags(i);
      table.AddRow({Printable(tag.label()), Row(ScoresOverTime(response, head, tag.label()), columns),
                    absl::StrFormat("%.2f", tag.score())});
    }
  }
  return absl::StrCat("  over time: 0:00 to ", Clock(response.audio().duration()), ", ", response.windows_size(),
                      response.windows_size() == 1 ? " window\n" : " windows\n", table.Render(kMargin));
}

}  // namespace culturetag::client
