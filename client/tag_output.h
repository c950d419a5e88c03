// Where `culturetag tag` puts the outcomes of files, in the form that was asked for.
//
// Not thread-safe.
#ifndef CULTURETAG_CLIENT_TAG_OUTPUT_H_
#define CULTURETAG_CLIENT_TAG_OUTPUT_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "client/console.h"
#include "client/failure.h"
#include "client/progress.h"
#include "client/result_file.h"
#include "client/tag_options.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

class TagOutput {
 public:
  // For `count` outcomes. `result_file` may be null: standard output. All must outlive it.
  TagOutput(const TagOptions& options, std::size_t count, ResultFile* result_file, const Console& console);

  // Whether outcomes are to come in the order of the files.
  bool ordered() const { return options_.format == OutputFormat::kText || options_.format == OutputFormat::kJson; }

  // Writes a result at once. Failures go to standard error at the end; JSON to standard output has them in place, too.
  void Print(const std::string& file, const Outcome<v1::TagResponse>& outcome);

  // Ends the output. Returns whether every file worked.
  bool Finish();

 private:
  void PrintResult(const std::string& file, const v1::TagResponse& response);
  // Writes the file's page. Returns why it couldn't.
  absl::optional<Failure> WritePage(const std::string& file, const v1::TagResponse& response) const;
  void PrintFailure(const std::string& file, const Failure& failure);
  // One element of the JSON array, or one line.
  void PrintJson(const std::string& json);

  const TagOptions& options_;
  ResultFile* const result_file_;
  const Console& console_;
  ProgressLine progress_line_;
  Progress progress_;
  std::vector<std::pair<std::string, Failure>> failures_;
  bool is_first_ = true;
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TAG_OUTPUT_H_
