#include "client/progress.h"

#include <sstream>

#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

TEST(ProgressTextTest, HasCountsRateTimeLeftAndFailures) {
  EXPECT_EQ(ProgressText({50, 0, 200, absl::Seconds(10)}), "[#####...............] 50/200 files, 5.0/s, 30s left");
  EXPECT_EQ(ProgressText({2, 1, 2, absl::Seconds(1)}), "[####################] 2/2 files, 2.0/s, 0 left, 1 failed");
}

TEST(ProgressTextTest, GuessesNothingBeforeTheFirstFileIsDone) {
  EXPECT_EQ(ProgressText({0, 0, 7, absl::Seconds(1)}), "[....................] 0/7 files");
}

TEST(ProgressLineTest, WipesWhatItDrew) {
  std::ostringstream terminal;
  {
    ProgressLine line(terminal, true);
    line.Update({0, 0, 7, {}});
    line.Update({1, 0, 7, {}});  // too soon to be seen
  }
  EXPECT_EQ(terminal.str(), "[....................] 0/7 files\r\x1b[K");
}

TEST(ProgressLineTest, WritesNothingWhereThereIsNoTerminal) {
  std::ostringstream pipe;
  ProgressLine(pipe, false).Update({0, 0, 7, {}});
  EXPECT_EQ(pipe.str(), "");
}

}  // namespace
}  // namespace culturetag::client
