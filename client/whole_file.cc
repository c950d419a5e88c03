#include "client/whole_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace culturetag::client {
namespace {

Failure WriteFailure(const std::string& path) {
  Failure failure;
  failure.code = errno == EACCES ? "PERMISSION_DENIED" : errno == ENOENT ? "NOT_FOUND" : "UNKNOWN";
  failure.message = absl::StrCat(path, " can't be written: ", std::strerror(errno));
  return failure;
}

}  // namespace

absl::optional<Failure> WriteWholeFile(const std::string& path, const std::string& bytes) {
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::binary);
  file << bytes;
  file.close();
  if (file && std::rename(part.c_str(), path.c_str()) == 0) return absl::nullopt;
  const Failure failure = WriteFailure(path);
  std::remove(part.c_str());
  return failure;
}

}  // namespace culturetag::client
