// The file of `culturetag tag --out`: results are appended to it, and a later run reads which files it has.
//
// Not thread-safe.
#ifndef CULTURETAG_CLIENT_RESULT_FILE_H_
#define CULTURETAG_CLIENT_RESULT_FILE_H_

#include <cstddef>
#include <istream>
#include <memory>
#include <string>
#include <unordered_set>

#include "absl/types/optional.h"
#include "client/failure.h"
#include "client/tag_options.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

class ResultFile {
 public:
  // Opens the file at `path`, or makes it, for kJsonLines or kCsv. What a run that was killed left half written is cut
  // off: a last line without its end; in CSV, where a file has many rows, all rows of the last file, whose tags are
  // then asked for again.
  //
  // Fails with PERMISSION_DENIED, NOT_FOUND (no such folder), FAILED_PRECONDITION (another run has it open; a line that
  // is no result, so that this is somebody else's file) or UNKNOWN.
  static Outcome<std::unique_ptr<ResultFile>> Open(const std::string& path, OutputFormat format);

  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  bool Has(const std::string& file) const;

  // Appends a result, so that it survives this process. Returns why it couldn't.
  absl::optional<Failure> Append(const std::string& file, const v1::TagResponse& response);

 private:
  ResultFile(int fd, OutputFormat format) : fd_(fd), format_(format) {}

  // Returns the number of bytes to keep; fails with FAILED_PRECONDITION.
  Outcome<std::size_t> ReadResults(std::istream& results);
  absl::optional<Failure> Write(const std::string& text);

  const int fd_;
  const OutputFormat format_;
  std::unordered_set<std::string> files_;  // as the format writes their names
};

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_RESULT_FILE_H_
