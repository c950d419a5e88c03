#include "client/audio_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <variant>

namespace culturetag::client {
namespace {

constexpr std::size_t kBlockBytes = 1 << 16;
// Protobuf's limit of 2 GiB, less room for the request's other fields.
constexpr std::size_t kMaxMessageBytes = (std::size_t{1} << 31) - (1 << 16);

Failure Fail(const char* code, std::string message) {
  Failure failure;
  failure.code = code;
  failure.message = std::move(message);
  return failure;
}

Failure OpenFailure() {
  if (errno == ENOENT) return Fail("NOT_FOUND", "no such file");
  return Fail(errno == EACCES ? "PERMISSION_DENIED" : "UNKNOWN", std::strerror(errno));
}

Outcome<AudioInput> ReadUpTo(std::size_t max_bytes, std::unique_ptr<FdReader> reader) {
  AudioInput input;
  while (input.bytes.size() <= max_bytes) {
    const std::size_t size = input.bytes.size();
    input.bytes.resize(size + kBlockBytes);
    const Outcome<std::size_t> count = reader->Read(&input.bytes[size], kBlockBytes);
    if (const auto* const failure = std::get_if<Failure>(&count)) return *failure;
    input.bytes.resize(size + std::get<std::size_t>(count));
    if (input.bytes.empty()) return Fail("INVALID_ARGUMENT", "the input is empty");
    if (input.bytes.size() == size) return input;
  }
  input.rest = std::move(reader);
  return input;
}

}  // namespace

Outcome<AudioInput> OpenAudioFile(const std::string& name, int standard_input, std::size_t max_bytes) {
  if (name == "-") {
    return ReadUpTo(max_bytes, std::make_unique<FdReader>(standard_input, FdReader::Ownership::kBorrowed));
  }
  const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return OpenFailure();
  auto reader = std::make_unique<FdReader>(fd, FdReader::Ownership::kOwned);
  struct stat status{};
  if (fstat(fd, &status) != 0) return OpenFailure();
  if (S_ISDIR(status.st_mode)) return Fail("INVALID_ARGUMENT", "this is a directory; name the files in it");
  if (S_ISREG(status.st_mode) && static_cast<std::size_t>(status.st_size) > max_bytes) {
    return AudioInput{{}, std::move(reader)};
  }
  return ReadUpTo(max_bytes, std::move(reader));
}

Outcome<std::string> ReadAudioFile(const std::string& name, int standard_input) {
  Outcome<AudioInput> outcome = OpenAudioFile(name, standard_input, kMaxMessageBytes);
  if (auto* const failure = std::get_if<Failure>(&outcome)) return std::move(*failure);
  auto& input = std::get<AudioInput>(outcome);
  if (input.rest == nullptr) return std::move(input.bytes);
  return Fail("INVALID_ARGUMENT", "the input is larger than 2 GiB, the most that one request can carry");
}

}  // namespace culturetag::client
