#include "audio/samples.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr float kLargest = std::numeric_limits<float>::max();

std::vector<float> MeanOf(size_t channel_count, const std::vector<float>& interleaved) {
  std::vector<float> mono(interleaved.size() / channel_count);
  AverageChannels(channel_count, absl::MakeSpan(mono), [&interleaved](size_t i) { return interleaved[i]; });
  return mono;
}

TEST(AverageChannelsTest, LeavesOneChannelAsItIs) { EXPECT_THAT(MeanOf(1, {0.25F, -1, kLargest}), ElementsAre(0.25F, -1, kLargest)); }

TEST(AverageChannelsTest, TakesTheMeanOfEachFrame) {
  EXPECT_THAT(MeanOf(2, {1, 0.5F, -1, 1}), ElementsAre(0.75F, 0));
  EXPECT_THAT(MeanOf(3, {1, 2, 6, 0, 0, -3}), ElementsAre(3, -1));
}

TEST(AverageChannelsTest, DoesNotOverflowInLoudChannels) {
  for (const size_t channels : {2, 3, 32}) {
    EXPECT_THAT(MeanOf(channels, std::vector<float>(4 * channels, kLargest)), Each(kLargest)) << channels;
  }
}

TEST(AllFiniteTest, TakesWhatAFloatCanHold) {
  EXPECT_TRUE(AllFinite({}));
  EXPECT_TRUE(AllFinite({0, -0.0F, kLargest, -kLargest, std::numeric_limits<float>::denorm_min()}));
}

TEST(AllFiniteTest, FindsTheOneThatIsNotWhereverItStands) {
  for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    for (size_t place = 0; place < 37; ++place) {
      std::vector<float> samples(37, 0.5F);
      samples[place] = bad;
      EXPECT_FALSE(AllFinite(samples)) << bad << " at " << place;
    }
  }
}

}  // namespace
}  // namespace culturetag
