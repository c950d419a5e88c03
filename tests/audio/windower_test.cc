#include "audio/windower.h"

#include <numeric>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {

bool operator==(const Window& a, const Window& b) { return a.start == b.start && a.samples == b.samples; }
void PrintTo(const Window& window, std::ostream* os) { *os << window.samples.size() << " samples from " << window.start; }

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// 0, 1, 2, ...: each sample is its own index.
std::vector<float> Ramp(int64_t length, int64_t start = 0) {
  std::vector<float> samples(static_cast<size_t>(length));
  std::iota(samples.begin(), samples.end(), static_cast<float>(start));
  return samples;
}

// The window of `length` samples of the ramp from `start`.
Window At(int64_t start, int64_t length) { return {start, Ramp(length, start)}; }

std::vector<Window> Cut(const WindowShape& shape, int64_t length) {
  Windower windower(shape);
  std::vector<Window> windows;
  windower.Push(Ramp(length), windows);
  EXPECT_EQ(windower.Finish(windows), absl::OkStatus());
  EXPECT_EQ(windower.sample_count(), length);
  return windows;
}

TEST(WindowerTest, CutsWholeWindows) {
  EXPECT_THAT(Cut({10, 10, 1}, 30), ElementsAre(At(0, 10), At(10, 10), At(20, 10)));
}

TEST(WindowerTest, RightAlignsTheLastWindow) {
  EXPECT_THAT(Cut({10, 10, 1}, 21), ElementsAre(At(0, 10), At(10, 10), At(11, 10)));
  EXPECT_THAT(Cut({10, 10, 1}, 29), ElementsAre(At(0, 10), At(10, 10), At(19, 10)));
}

TEST(WindowerTest, TakesAClipOfOneWindowOnce) { EXPECT_THAT(Cut({10, 10, 1}, 10), ElementsAre(At(0, 10))); }

TEST(WindowerTest, TakesAShorterClipAsItIs) { EXPECT_THAT(Cut({10, 10, 5}, 7), ElementsAre(At(0, 7))); }

TEST(WindowerTest, StepsByTheHop) {
  EXPECT_THAT(Cut({10, 4, 1}, 18), ElementsAre(At(0, 10), At(4, 10), At(8, 10)));
  EXPECT_THAT(Cut({10, 4, 1}, 20), ElementsAre(At(0, 10), At(4, 10), At(8, 10), At(10, 10)));
  EXPECT_THAT(Cut({3, 1, 1}, 5), ElementsAre(At(0, 3), At(1, 3), At(2, 3)));
}

TEST(WindowerTest, HandsOutAWindowAsSoonAsItIsWhole) {
  Windower windower({10, 5, 1});
  std::vector<Window> windows;
  windower.Push(Ramp(9), windows);
  EXPECT_THAT(windows, IsEmpty());
  windower.Push(Ramp(1, 9), windows);
  EXPECT_THAT(windows, ElementsAre(At(0, 10)));
  windower.Push(Ramp(4, 10), windows);
  EXPECT_THAT(windows, ElementsAre(At(0, 10)));
  windower.Push(Ramp(1, 14), windows);
  EXPECT_THAT(windows, ElementsAre(At(0, 10), At(5, 10)));
}

TEST(WindowerTest, AppendsToWhatTheCallerHolds) {
  Windower windower({10, 10, 1});
  std::vector<Window> windows = {At(99, 1)};
  windower.Push(Ramp(10), windows);
  EXPECT_THAT(windows, ElementsAre(At(99, 1), At(0, 10)));
}

TEST(WindowerTest, RefusesAClipBelowTheMinimum) {
  Windower windower({10, 10, 5});
  std::vector<Window> windows;
  windower.Push(Ramp(4), windows);
  EXPECT_EQ(windower.Finish(windows), absl::InvalidArgumentError(
                                          "the audio is too short: 4 samples at the model's rate, which needs at least 5"));
  EXPECT_THAT(windows, IsEmpty());
}

TEST(WindowerTest, RefusesNothingAtAll) {
  Windower windower({10, 10, 1});
  std::vector<Window> windows;
  windower.Push({}, windows);
  EXPECT_EQ(windower.Finish(windows).code(), absl::StatusCode::kInvalidArgument);
}

TEST(WindowerTest, TakesAClipOfTheMinimum) { EXPECT_THAT(Cut({10, 10, 5}, 5), ElementsAre(At(0, 5))); }

// The definition in the header, word for word, over a whole signal.
std::vector<Window> CutByDefinition(const WindowShape& shape, int64_t length) {
  if (length < shape.window) return {At(0, length)};
  std::vector<Window> windows;
  int64_t end = 0;
  for (int64_t start = 0; start + shape.window <= length; start += shape.hop) {
    windows.push_back(At(start, shape.window));
    end = start + shape.window;
  }
  if (end < length) windows.push_back(At(length - shape.window, shape.window));
  return windows;
}

TEST(WindowerTest, FollowsItsDefinitionHoweverTheInputIsCut) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    WindowShape shape;
    shape.window = std::uniform_int_distribution<int64_t>(1, 30)(random);
    shape.hop = std::uniform_int_distribution<int64_t>(1, shape.window)(random);
    shape.min_clip = 1;
    const int64_t length = std::uniform_int_distribution<int64_t>(1, 200)(random);
    Windower windower(shape);
    std::vector<Window> windows;
    for (int64_t start = 0; start < length;) {
      const int64_t piece = std::min(length - start, std::uniform_int_distribution<int64_t>(0, 50)(random));
      windower.Push(Ramp(piece, start), windows);
      start += piece;
    }
    ASSERT_EQ(windower.Finish(windows), absl::OkStatus());
    ASSERT_EQ(windows, CutByDefinition(shape, length))
        << "window " << shape.window << ", hop " << shape.hop << ", " << length << " samples";
  }
}

}  // namespace
}  // namespace culturetag
