#include "client/audio_file.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace culturetag::client {
namespace {

constexpr std::size_t kBlockBytes = 1 << 16;
// Protobuf's limit of 2 GiB, less room for the request's other fields.
constexpr std::uintmax_t kMaxBytes = (std::uintmax_t{1} << 31) - (1 << 16);

Failure Fail(const char* code, std::string message) {
  Failure failure;
  failure.code = code;
  failure.message = std::move(message);
  return failure;
}

Failure TooLarge() {
  return Fail("INVALID_ARGUMENT", "the input is larger than 2 GiB, the most that one request can carry");
}

Outcome<std::string> ReadAll(std::istream& input, std::string bytes) {
  while (input) {
    const std::size_t size = bytes.size();
    if (size > kMaxBytes) return TooLarge();
    bytes.resize(size + kBlockBytes);
    input.read(&bytes[size], kBlockBytes);
    bytes.resize(size + static_cast<std::size_t>(input.gcount()));
  }
  if (input.bad()) return Fail("UNKNOWN", "the input can't be read to its end");
  if (bytes.empty()) return Fail("INVALID_ARGUMENT", "the input is empty");
  return bytes;
}

}  // namespace

Outcome<std::string> ReadAudioFile(const std::string& name, std::istream& standard_input) {
  if (name == "-") return ReadAll(standard_input, {});
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(name, error);
  if (status.type() == std::filesystem::file_type::not_found) return Fail("NOT_FOUND", "no such file");
  if (std::filesystem::is_directory(status)) {
    return Fail("INVALID_ARGUMENT", "this is a directory; name the files in it");
  }
  errno = 0;
  std::ifstream input(name, std::ios::binary);
  if (!input) return Fail(errno == EACCES ? "PERMISSION_DENIED" : "UNKNOWN", std::strerror(errno));
  std::string bytes;
  if (std::filesystem::is_regular_file(status)) {
    const std::uintmax_t size = std::filesystem::file_size(name, error);
    if (!error && size > kMaxBytes) return TooLarge();
    if (!error) bytes.reserve(size + kBlockBytes);
  }
  return ReadAll(input, std::move(bytes));
}

}  // namespace culturetag::client
