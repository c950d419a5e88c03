#include "audio/resampler.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

constexpr int kModelRateHz = 24000;

// The signal of testdata/make_resampler_reference.py.
std::vector<float> KnownSignal(size_t length) {
  uint32_t state = 1;
  std::vector<float> samples(length);
  for (float& sample : samples) {
    state = 1664525U * state + 1013904223U;
    sample = static_cast<float>(static_cast<int32_t>(state)) / 4294967296.0F;
  }
  return samples;
}

// Resamples `input` in blocks whose sizes `next_size` gives.
template <typename NextSize>
std::vector<float> Resample(int rate_hz, absl::Span<const float> input, NextSize next_size) {
  auto resampler = Resampler::Create(rate_hz, kModelRateHz);
  EXPECT_TRUE(resampler.ok()) << resampler.status();
  std::vector<float> output;
  while (!input.empty()) {
    const absl::Span<const float> block = input.subspan(0, next_size());
    EXPECT_EQ((*resampler)->Process(block, output), absl::OkStatus());
    input.remove_prefix(block.size());
  }
  EXPECT_EQ((*resampler)->Finish(output), absl::OkStatus());
  return output;
}

std::vector<float> ResampleAtOnce(int rate_hz, absl::Span<const float> input) {
  return Resample(rate_hz, input, [&input] { return input.size(); });
}

std::ifstream TestData(const std::string& name) {
  std::ifstream file(std::string(CULTURETAG_TESTDATA) + "/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return file;
}

std::vector<float> Reference(int rate_hz) {
  std::ifstream file = TestData(std::to_string(rate_hz) + ".f32");
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<float> samples(bytes.size() / sizeof(float));
  std::memcpy(samples.data(), bytes.data(), samples.size() * sizeof(float));
  return samples;
}

void ExpectMaxDifference(const std::vector<float>& actual, const std::vector<float>& expected, float bound) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], bound) << "at sample " << i;
}

TEST(ResamplerTest, AgreesWithTheReference) {
  for (const int rate : {8000, 22050, 44100, 48000, 96000}) {
    SCOPED_TRACE(rate);
    ExpectMaxDifference(ResampleAtOnce(rate, KnownSignal(1000)), Reference(rate), 1e-5F);
  }
}

TEST(ResamplerTest, IsAsLongAsTheReference) {
  std::ifstream file = TestData("lengths.csv");
  int rate = 0;
  size_t length = 0;
  size_t expected = 0;
  char comma = 0;
  int rows = 0;
  for (; file >> rate >> comma >> length >> comma >> expected; ++rows) {
    EXPECT_EQ(ResampleAtOnce(rate, KnownSignal(length)).size(), expected) << length << " samples at " << rate << " Hz";
  }
  EXPECT_EQ(rows, 40);
}

TEST(ResamplerTest, DoesNotDependOnHowTheInputIsCut) {
  const std::vector<float> input = KnownSignal(20000);
  std::mt19937 random(7);
  for (const int rate : {8000, 22050, 44100, 48000, 96000, 384000}) {
    SCOPED_TRACE(rate);
    const std::vector<float> whole = ResampleAtOnce(rate, input);
    for (const size_t largest : {size_t{1}, size_t{10}, size_t{1000}, size_t{10000}}) {
      const auto next_size = [&] { return std::uniform_int_distribution<size_t>(1, largest)(random); };
      ExpectMaxDifference(Resample(rate, input, next_size), whole, 1e-6F);
    }
  }
}

// Sample `index` of a sine of 440 Hz.
float Tone(size_t index, int rate_hz) {
  return static_cast<float>(0.5 * std::sin(2 * M_PI * 440 * static_cast<double>(index) / rate_hz));
}

TEST(ResamplerTest, KeepsATone) {
  constexpr int kRate = 44100;
  std::vector<float> input(kRate);
  for (size_t i = 0; i < input.size(); ++i) input[i] = Tone(i, kRate);
  const std::vector<float> output = ResampleAtOnce(kRate, input);
  ASSERT_EQ(output.size(), static_cast<size_t>(kModelRateHz));
  for (size_t i = 1000; i < output.size() - 1000; ++i) {  // beyond the edges, where the tone starts and ends
    ASSERT_NEAR(output[i], Tone(i, kModelRateHz), 1e-4F) << "at sample " << i;
  }
}

TEST(ResamplerTest, PassesEqualRatesUnchanged) {
  const std::vector<float> input = KnownSignal(5000);
  EXPECT_EQ(Resample(kModelRateHz, input, [] { return size_t{777}; }), input);
}

TEST(ResamplerTest, MakesNothingOfNothing) {
  EXPECT_THAT(ResampleAtOnce(44100, {}), ::testing::IsEmpty());
  EXPECT_THAT(ResampleAtOnce(kModelRateHz, {}), ::testing::IsEmpty());
}

TEST(ResamplerTest, AppendsToWhatTheOutputHolds) {
  const std::vector<float> input = KnownSignal(1000);
  for (const int rate : {8000, kModelRateHz}) {
    auto resampler = Resampler::Create(rate, kModelRateHz);
    std::vector<float> output = {42.0F};
    ASSERT_EQ((*resampler)->Process(input, output), absl::OkStatus());
    ASSERT_EQ((*resampler)->Finish(output), absl::OkStatus());
    EXPECT_EQ(output.front(), 42.0F);
    EXPECT_EQ(output.size(), 1 + ResampleAtOnce(rate, input).size());
  }
}

TEST(ResamplerTest, RefusesRatesThatAreNotPositive) {
  EXPECT_EQ(Resampler::Create(0, 24000).status(),
            absl::InvalidArgumentError("sample rates must be positive, not 0 and 24000 Hz"));
  EXPECT_EQ(Resampler::Create(8000, -1).status(),
            absl::InvalidArgumentError("sample rates must be positive, not 8000 and -1 Hz"));
}

}  // namespace
}  // namespace culturetag
