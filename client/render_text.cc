#include "client/render_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/text_layout.h"

namespace culturetag::client {
namespace {

constexpr int kBarColumns = 20;

absl::string_view IfDecorated(const TextStyle& style, absl::string_view code) { return style.decorated ? code : ""; }

double ToSeconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + duration.nanos() / 1e9;
}

// "12.4 s", or "3 min 20 s" from a minute on.
std::string DurationText(const google::protobuf::Duration& duration) {
  const double seconds = ToSeconds(duration);
  if (seconds < 59.95) return absl::StrFormat("%.1f s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  return absl::StrFormat("%d min %d s", whole / 60, whole % 60);
}

std::string DisplayName(absl::string_view file) { return file == "-" ? "(standard input)" : Printable(file); }

std::string CountText(int64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string ScoreText(double score) { return absl::StrFormat("%.2f", score); }

std::string Bar(float score) {
  const int filled = static_cast<int>(std::lround(std::clamp(score, 0.0f, 1.0f) * kBarColumns));
  std::string bar;
  for (int i = 0; i < kBarColumns; ++i) absl::StrAppend(&bar, i < filled ? "█" : "░");
  return bar;
}

std::string TagsHeading(absl::string_view file, const v1::TagResponse& response, const TextStyle& style) {
  const v1::AudioInfo& audio = response.audio();
  return absl::StrCat(
      Styled(DisplayName(file), IfDecorated(style, kBold)), "\n  ",
      DurationText(audio.duration()), ", ", Printable(audio.format()), ", ", audio.sample_rate_hz(), " Hz, ",
      CountText(audio.channel_count(), "channel"), ", ", CountText(audio.window_count(), "window"), "\n  ",
      Printable(response.model()), " ", Printable(response.model_version()), ", answered in ",
      absl::StrFormat("%.3f s", ToSeconds(response.timing().total())), "\n");
}

void AppendTag(std::string* out, const v1::Tag& tag) {
  absl::StrAppend(out, Printable(tag.label()), " ", ScoreText(tag.score()));
}

// The tags of the whole clip in one table, so that columns align over all heads.
std::string HeadsText(const v1::TagResponse& response, const TextStyle& style) {
  TextTable table({{}, {false, IfDecorated(style, kDim)}, {true, {}}, {false, IfDecorated(style, kGreen)}});
  for (const v1::HeadResult& head : response.heads()) {
    table.AddLine(absl::StrCat("  ", Styled(Printable(head.head()), IfDecorated(style, kBold))));
    for (const v1::Tag& tag : head.tags()) {
      table.AddRow({Printable(tag.label()), Printable(tag.category()), ScoreText(tag.score()),
                    style.decorated ? Bar(tag.score()) : ""});
    }
    if (head.tags().empty()) table.AddLine("    (no tags)");
  }
  return table.Render(4);
}

std::string WindowsText(const v1::TagResponse& response, const TextStyle& style) {
  TextTable table({{true, {}}, {false, IfDecorated(style, kBold)}, {}});
  for (const v1::WindowResult& window : response.windows()) {
    const double start = ToSeconds(window.start_offset());
    std::string span = absl::StrFormat("%.1f-%.1f s", start, start + ToSeconds(window.duration()));
    for (const v1::HeadResult& head : window.heads()) {
      table.AddRow({std::exchange(span, ""), Printable(head.head()), absl::StrJoin(head.tags(), ", ", AppendTag)});
    }
  }
  return absl::StrCat("  ", Styled("windows", IfDecorated(style, kBold)), "\n", table.Render(4));
}

std::string ModelHeading(const v1::Model& model, bool is_default, const TextStyle& style) {
  TextTable facts({{false, IfDecorated(style, kDim)}, {}});
  facts.AddRow({"backbone", Printable(model.backbone())});
  facts.AddRow({"licence", Printable(model.license())});
  facts.AddRow({"runs on", absl::StrCat(Printable(model.device()), " in ", Printable(model.precision()))});
  facts.AddRow({"window", absl::StrCat(DurationText(model.window()), " at ", model.sample_rate_hz(), " Hz")});
  facts.AddRow({"states", absl::StrCat(model.layer_count(), " layers of ", model.hidden_size())});
  return absl::StrCat(Styled(Printable(model.name()), IfDecorated(style, kBold)), " ", Printable(model.version()),
                      is_default ? " (default)" : "", "\n", facts.Render(2), "\n",
                      Wrap(Printable(model.description()), 2, style.width), "\n");
}

int64_t UntrainedCount(const v1::Head& head) {
  return std::count_if(head.labels().begin(), head.labels().end(),
                       [](const v1::Label& label) { return !label.untrained_reason().empty(); });
}

// One row for each head, with a column for every metric that any head has.
std::string HeadTable(const v1::Model& model, const TextStyle& style) {
  std::set<std::string> metrics;
  for (const v1::Head& head : model.heads()) {
    for (const auto& [metric, value] : head.metrics()) metrics.insert(metric);
  }
  std::vector<TextTable::Column> columns = {{false, IfDecorated(style, kBold)}, {}, {true, {}}, {true, {}}};
  std::vector<std::string> titles = {"head", "title", "labels", "untrained"};
  for (const std::string& metric : metrics) {
    columns.push_back({true, {}});
    titles.push_back(Printable(metric));
  }
  columns.push_back({});
  titles.push_back("data set");

  TextTable table(std::move(columns));
  table.AddRow(std::move(titles));
  for (const v1::Head& head : model.heads()) {
    std::vector<std::string> cells = {Printable(head.name()), Printable(head.title()),
                                      absl::StrCat(head.labels_size()), absl::StrCat(UntrainedCount(head))};
    for (const std::string& metric : metrics) {
      const auto value = head.metrics().find(metric);
      cells.push_back(value == head.metrics().end() ? "-" : absl::StrFormat("%.3f", value->second));
    }
    cells.push_back(Printable(head.dataset()));
    table.AddRow(std::move(cells));
  }
  return table.Render(2);
}

// The labels of one head, a paragraph for each category in the order in which they first occur, then those that never
// show.
std::string LabelsText(const v1::Head& head, const TextStyle& style) {
  std::vector<std::pair<std::string, std::vector<std::string>>> paragraphs;
  const auto add = [&paragraphs](const std::string& title, const std::string& label) {
    const auto same_title = [&title](const auto& paragraph) { return paragraph.first == title; };
    auto found = std::find_if(paragraphs.begin(), paragraphs.end(), same_title);
    if (found == paragraphs.end()) found = paragraphs.insert(found, {title, {}});
    found->second.push_back(label);
  };
  for (const v1::Label& label : head.labels()) {
    if (label.untrained_reason().empty()) add(Printable(label.category()), Printable(label.name()));
  }
  for (const v1::Label& label : head.labels()) {
    if (label.untrained_reason().empty()) continue;
    add(absl::StrCat("untrained, ", Printable(label.untrained_reason())), Printable(label.name()));
  }
  std::string text = absl::StrCat("\n  ", Styled(Printable(head.name()), IfDecorated(style, kBold)), "\n");
  for (const auto& [title, labels] : paragraphs) {
    absl::StrAppend(&text, Wrap(absl::StrCat(title, ": ", absl::StrJoin(labels, ", ")), 4, style.width));
  }
  return text;
}

}  // namespace

std::string TagsText(absl::string_view file, const v1::TagResponse& response, const TextStyle& style) {
  std::string text = absl::StrCat(TagsHeading(file, response, style), "\n", HeadsText(response, style));
  if (!response.windows().empty()) absl::StrAppend(&text, WindowsText(response, style));
  return text;
}

std::string WindowText(const v1::WindowResult& window, const TextStyle& style) {
  std::string line = absl::StrFormat("%8.1f s", ToSeconds(window.start_offset()));
  for (const v1::HeadResult& head : window.heads()) {
    absl::StrAppend(&line, "  ", Styled(Printable(head.head()), IfDecorated(style, kBold)), ": ",
                    absl::StrJoin(head.tags(), ", ", AppendTag));
  }
  return absl::StrCat(line, "\n");
}

std::string ModelsText(const v1::ListModelsResponse& response, bool with_labels, const TextStyle& style) {
  std::string text;
  bool is_first = true;
  for (const v1::Model& model : response.models()) {
    absl::StrAppend(&text, is_first ? "" : "\n", ModelHeading(model, is_first, style), HeadTable(model, style));
    is_first = false;
    if (!with_labels) continue;
    for (const v1::Head& head : model.heads()) absl::StrAppend(&text, LabelsText(head, style));
  }
  return text.empty() ? "The server has no models.\n" : text;
}

std::string FailureText(absl::string_view subject, const Failure& failure) {
  std::string text = absl::StrCat("culturetag: ", DisplayName(subject), ": ", failure.code, ": ",
                                  Printable(failure.message));
  if (!failure.field.empty()) absl::StrAppend(&text, " [field ", Printable(failure.field), "]");
  if (failure.retry_after.has_value()) {
    absl::StrAppendFormat(&text, " [retry after %.1f s]", absl::ToDoubleSeconds(*failure.retry_after));
  }
  return absl::StrCat(text, "\n");
}

}  // namespace culturetag::client
