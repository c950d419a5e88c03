#include "client/npy.h"

#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

TEST(NpyFileTest, HasTheHeaderThatNumpyWrites) {
  const std::string file = NpyFile({2, 3}, {0, 1, 2, 3, 4, 5});
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,), }";
  EXPECT_EQ(file.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));  // 0x76 = 118 = 128 - 10
  EXPECT_EQ(file.substr(10, header.size()), header);
  EXPECT_EQ(file.substr(10 + header.size(), 118 - header.size()), std::string(117 - header.size(), ' ') + "\n");
}

TEST(NpyFileTest, StoresLittleEndianFloatsBehindAHeaderThatIsAlignedTo64) {
  const std::string file = NpyFile({1}, {1.5f});
  EXPECT_EQ(file.size() % 64, 4u);
  EXPECT_EQ(file.substr(file.size() - 4), std::string("\x00\x00\xc0\x3f", 4));
}

}  // namespace
}  // namespace culturetag::client
