#include "client/tag_output.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <variant>

#include "client/audio_file.h"
#include "client/render_csv.h"
#include "client/render_html.h"
#include "client/render_json.h"
#include "client/render_text.h"
#include "client/render_timeline.h"
#include "client/whole_file.h"

namespace culturetag::client {
namespace {

// The page's name in its folder: of the whole path, for albums all have a 01.mp3.
std::string PageName(const std::string& file) {
  std::string name = std::filesystem::path(file).lexically_normal().relative_path().replace_extension("html").string();
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

}  // namespace

TagOutput::TagOutput(const TagOptions& options, std::size_t count, ResultFile* result_file, const Console& console)
    : options_(options),
      result_file_(result_file),
      console_(console),
      // One file's progress is its answer.
      progress_line_(console.err, console.show_progress && count > 1) {
  progress_.total = count;
  if (options_.format == OutputFormat::kJson) console_.out << "[";
  if (options_.format == OutputFormat::kCsv && result_file_ == nullptr) console_.out << kCsvHeader;
}

void TagOutput::Print(const std::string& file, const Outcome<v1::TagResponse>& outcome) {
  ++progress_.done;
  const auto* const response = std::get_if<v1::TagResponse>(&outcome);
  if (response == nullptr) {
    PrintFailure(file, std::get<Failure>(outcome));
  } else if (const auto unwritten_page = WritePage(file, *response)) {
    PrintFailure(file, *unwritten_page);
  } else if (result_file_ == nullptr) {
    progress_line_.Clear();
    PrintResult(file, *response);
    console_.out.flush();
  } else if (const auto unwritten = result_file_->Append(file, PrintedPart(options_, *response))) {
    PrintFailure(file, *unwritten);
  }
  progress_line_.Update(progress_);
}

absl::optional<Failure> TagOutput::WritePage(const std::string& file, const v1::TagResponse& response) const {
  if (options_.html.empty()) return absl::nullopt;
  // It was read once to be sent, and isn't kept: the page carries it.
  const Outcome<std::string> audio = ReadAudioFile(file, console_.in);
  if (const auto* const failure = std::get_if<Failure>(&audio)) return *failure;
  namespace fs = std::filesystem;
  const bool is_page = fs::path(options_.html).extension() == ".html";
  const fs::path path = is_page ? fs::path(options_.html) : fs::path(options_.html) / PageName(file);
  std::error_code ignored;  // what is wrong shows in the writing
  if (!is_page) fs::create_directories(options_.html, ignored);
  return WriteWholeFile(path.string(), TagsHtml(file, std::get<std::string>(audio), response, options_.top_k));
}

void TagOutput::PrintResult(const std::string& file, const v1::TagResponse& full_response) {
  const v1::TagResponse response = PrintedPart(options_, full_response);
  switch (options_.format) {
    case OutputFormat::kText:
      console_.out << (is_first_ ? "" : "\n") << TagsText(file, response, console_.style);
      if (options_.timeline) console_.out << TimelineText(full_response, options_.top_k, console_.style);
      is_first_ = false;
      break;
    case OutputFormat::kJson:
    case OutputFormat::kJsonLines:
      PrintJson(TagsJson(file, response));
      break;
    case OutputFormat::kCsv:
      console_.out << TagsCsv(file, response);
      break;
  }
}

void TagOutput::PrintFailure(const std::string& file, const Failure& failure) {
  ++progress_.failed;
  failures_.emplace_back(file, failure);
  const bool json = options_.format == OutputFormat::kJson || options_.format == OutputFormat::kJsonLines;
  if (json && result_file_ == nullptr) PrintJson(FailureJson(file, failure));
}

void TagOutput::PrintJson(const std::string& json) {
  if (options_.format == OutputFormat::kJsonLines) {
    console_.out << json << "\n" << std::flush;
  } else {
    console_.out << (is_first_ ? "\n" : ",\n") << json << std::flush;
    is_first_ = false;
  }
}

bool TagOutput::Finish() {
  if (options_.format == OutputFormat::kJson) console_.out << "\n]\n";
  progress_line_.Clear();
  for (const auto& [file, failure] : failures_) console_.err << FailureText(file, failure);
  console_.err.flush();
  return failures_.empty();
}

}  // namespace culturetag::client
