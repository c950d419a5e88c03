#include "client/npy.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace culturetag::client {
namespace {

// The data start at a multiple of this, so that a mapped file's are aligned.
constexpr std::size_t kAlignment = 64;
// The magic string, two bytes of version and two of the header's length.
constexpr std::size_t kPreambleBytes = 10;

void AppendLittleEndian(uint32_t value, int byte_count, std::string& bytes) {
  for (int i = 0; i < byte_count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

std::string NpyFile(const std::vector<int64_t>& shape, const std::vector<float>& values) {
  // A tuple of one needs its comma; Python takes one after longer tuples, too.
  std::string header = absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (",
                                    absl::StrJoin(shape, ", "), ",), }");
  const std::size_t unpadded = kPreambleBytes + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header.push_back('\n');

  std::string bytes("\x93NUMPY\x01\x00", 8);
  AppendLittleEndian(static_cast<uint32_t>(header.size()), 2, bytes);
  bytes.append(header);
  bytes.reserve(bytes.size() + values.size() * sizeof(float));
  for (const float value : values) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    AppendLittleEndian(bits, 4, bytes);
  }
  return bytes;
}

}  // namespace culturetag::client
