// What the tests of the container checks share: integers as files hold them, and the expectation of an untouched file.
#ifndef CULTURETAG_TESTS_AUDIO_CONTAINER_BYTES_H_
#define CULTURETAG_TESTS_AUDIO_CONTAINER_BYTES_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "audio/container_check.h"
#include "gtest/gtest.h"

namespace culturetag {

inline std::string Le32(uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

inline std::string Be32(uint32_t value) {
  const std::string bytes = Le32(value);
  return std::string(bytes.rbegin(), bytes.rend());
}

// Expects that CheckContainer takes `bytes` for a whole file and leaves them as they are.
inline void ExpectWhole(absl::string_view bytes) {
  const auto view = CheckContainer(bytes);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->size, bytes.size());
  EXPECT_EQ(view->claimed_size, static_cast<int64_t>(bytes.size()));
  EXPECT_TRUE(view->patches.empty());
}

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_AUDIO_CONTAINER_BYTES_H_
