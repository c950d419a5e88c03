#include "client/result_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/render_csv.h"
#include "client/render_json.h"

namespace culturetag::client {
namespace {

Failure Fail(const char* code, std::string message) {
  Failure failure;
  failure.code = code;
  failure.message = std::move(message);
  return failure;
}

Failure SystemFailure(const char* what) {
  const char* const code = errno == EACCES ? "PERMISSION_DENIED" : errno == ENOENT ? "NOT_FOUND" : "UNKNOWN";
  return Fail(code, absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

Outcome<std::unique_ptr<ResultFile>> ResultFile::Open(const std::string& path, OutputFormat format) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return SystemFailure("the file can't be opened");
  std::unique_ptr<ResultFile> file(new ResultFile(fd, format));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return Fail("FAILED_PRECONDITION", "another run is writing to this file");
  std::ifstream results(path, std::ios::binary);
  const Outcome<std::size_t> kept = file->ReadResults(results);
  if (const auto* const failure = std::get_if<Failure>(&kept)) return *failure;
  const auto size = static_cast<off_t>(std::get<std::size_t>(kept));
  if (ftruncate(fd, size) != 0) return SystemFailure("the file can't be cut");
  if (format == OutputFormat::kCsv && size == 0) {
    if (absl::optional<Failure> failure = file->Write(kCsvHeader)) return *std::move(failure);
  }
  return file;
}

ResultFile::~ResultFile() { close(fd_); }

Outcome<std::size_t> ResultFile::ReadResults(std::istream& results) {
  const bool csv = format_ == OutputFormat::kCsv;
  std::size_t begin = 0;            // of the line
  std::size_t last_file_begin = 0;  // of the first row of the file whose rows these are
  std::string last_file;
  int line_number = 0;
  for (std::string line; std::getline(results, line) && !results.eof(); begin += line.size() + 1) {
    if (++line_number == 1 && csv) {
      if (line + "\n" != kCsvHeader) return Fail("FAILED_PRECONDITION", "line 1 isn't the header of results");
      last_file_begin = line.size() + 1;
      continue;
    }
    std::string name = csv ? FileOfCsv(line) : FileOfJson(line);
    if (name.empty()) return Fail("FAILED_PRECONDITION", absl::StrCat("line ", line_number, " is no result"));
    if (name != last_file) last_file_begin = begin;
    last_file = name;
    files_.insert(std::move(name));
  }
  if (!csv) return begin;
  files_.erase(last_file);
  return last_file_begin;
}

bool ResultFile::Has(const std::string& file) const {
  const std::string name = format_ == OutputFormat::kCsv ? FileOfCsv(TagsCsv(file, {})) : FileNameInJson(file);
  return files_.count(name) > 0;
}

absl::optional<Failure> ResultFile::Append(const std::string& file, const v1::TagResponse& response) {
  return Write(format_ == OutputFormat::kCsv ? TagsCsv(file, response) : TagsJson(file, response) + "\n");
}

absl::optional<Failure> ResultFile::Write(const std::string& text) {
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t count = write(fd_, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemFailure("the results can't be written");
    written += static_cast<std::size_t>(count);
  }
  return absl::nullopt;
}

}  // namespace culturetag::client
