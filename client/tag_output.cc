#include "client/tag_output.h"

#include <variant>

#include "absl/types/optional.h"
#include "client/render_csv.h"
#include "client/render_json.h"
#include "client/render_text.h"

namespace culturetag::client {

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
  if (const auto* const failure = std::get_if<Failure>(&outcome)) {
    PrintFailure(file, *failure);
  } else if (result_file_ == nullptr) {
    progress_line_.Clear();
    PrintResult(file, std::get<v1::TagResponse>(outcome));
    console_.out.flush();
  } else if (const auto unwritten = result_file_->Append(file, std::get<v1::TagResponse>(outcome))) {
    PrintFailure(file, *unwritten);
  }
  progress_line_.Update(progress_);
}

void TagOutput::PrintResult(const std::string& file, const v1::TagResponse& response) {
  switch (options_.format) {
    case OutputFormat::kText:
      console_.out << (is_first_ ? "" : "\n") << TagsText(file, response, console_.style);
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
