#include <cstring>
#include <limits>

#include "audio/audio_files.h"
#include "audio/decoder.h"
#include "base/error_details.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using ::testing::ElementsAre;

std::string S16(const std::vector<int>& samples) {
  std::string bytes;
  for (const int sample : samples) {
    bytes += static_cast<char>(sample & 0xff);
    bytes += static_cast<char>(sample >> 8 & 0xff);
  }
  return bytes;
}

std::string F32(const std::vector<float>& samples) {
  std::string bytes;
  for (const float sample : samples) {
    uint32_t bits = 0;
    std::memcpy(&bits, &sample, sizeof(bits));
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(bits >> (8 * i));
  }
  return bytes;
}

absl::StatusOr<std::vector<float>> Decode(const PcmFormat& format, absl::string_view bytes) {
  auto decoder = OpenPcm(format, bytes);
  if (!decoder.ok()) return decoder.status();
  return ReadAll(**decoder);
}

TEST(PcmDecoderTest, ScalesSixteenBitIntegers) {
  EXPECT_THAT(*Decode({PcmEncoding::kS16Le, 16000, 1}, S16({-32768, 16384, 0, 32767})),
              ElementsAre(-1.0F, 0.5F, 0.0F, 32767.0F / 32768.0F));
}

TEST(PcmDecoderTest, PassesFloats) {
  EXPECT_THAT(*Decode({PcmEncoding::kF32Le, 16000, 1}, F32({-0.75F, 1.5F, 0.1F})), ElementsAre(-0.75F, 1.5F, 0.1F));
}

TEST(PcmDecoderTest, AveragesTheChannelsOfAFrame) {
  EXPECT_THAT(*Decode({PcmEncoding::kF32Le, 16000, 2}, F32({1.0F, 0.0F, -0.5F, 0.25F})), ElementsAre(0.5F, -0.125F));
  EXPECT_THAT(*Decode({PcmEncoding::kS16Le, 16000, 4}, S16({16384, 0, 0, 0})), ElementsAre(0.125F));
}

TEST(PcmDecoderTest, ReadsFromAnyAddress) {
  const std::string shifted = "x" + F32({0.25F, -0.5F});
  EXPECT_THAT(*Decode({PcmEncoding::kF32Le, 16000, 1}, absl::string_view(shifted).substr(1)), ElementsAre(0.25F, -0.5F));
}

TEST(PcmDecoderTest, TellsWhatItWasToldOfTheSource) {
  const std::string samples = S16({0, 0});
  const auto decoder = OpenPcm({PcmEncoding::kS16Le, 48000, 2}, samples);
  EXPECT_EQ((*decoder)->info().sample_rate_hz, 48000);
  EXPECT_EQ((*decoder)->info().channel_count, 2);
  EXPECT_EQ((*decoder)->info().format, "PCM/S16LE");
  const std::string floats = F32({0});
  EXPECT_EQ((*OpenPcm({PcmEncoding::kF32Le, 48000, 1}, floats))->info().format, "PCM/F32LE");
}

TEST(PcmDecoderTest, GoesOnReturningZeroAtTheEnd) {
  const std::string samples = S16({1, 2, 3});
  const auto decoder = OpenPcm({PcmEncoding::kS16Le, 8000, 1}, samples);
  std::vector<float> piece(2);
  EXPECT_EQ(*(*decoder)->Read(absl::MakeSpan(piece)), 2U);
  EXPECT_EQ(*(*decoder)->Read(absl::MakeSpan(piece)), 1U);
  EXPECT_EQ(*(*decoder)->Read(absl::MakeSpan(piece)), 0U);
  EXPECT_EQ(*(*decoder)->Read(absl::MakeSpan(piece)), 0U);
}

void ExpectRefused(const PcmFormat& format, absl::string_view bytes, absl::string_view field, absl::string_view message) {
  const absl::Status status = Decode(format, bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), message);
  EXPECT_EQ(FieldOf(status), field);
}

TEST(PcmDecoderTest, RefusesADescriptionOutOfRangeAndNamesTheField) {
  const std::string samples = S16({0});
  ExpectRefused({PcmEncoding::kS16Le, 0, 1}, samples, "sample_rate_hz", "the sample rate is 0 Hz; it may be 4000 to 384000");
  ExpectRefused({PcmEncoding::kS16Le, 384001, 1}, samples, "sample_rate_hz",
                "the sample rate is 384001 Hz; it may be 4000 to 384000");
  ExpectRefused({PcmEncoding::kS16Le, 8000, 0}, samples, "channel_count", "there are 0 channels; there may be 1 to 32");
  ExpectRefused({PcmEncoding::kS16Le, 8000, 33}, samples, "channel_count", "there are 33 channels; there may be 1 to 32");
  ExpectRefused({PcmEncoding::kS16Le, 8000, -1}, samples, "channel_count", "there are -1 channels; there may be 1 to 32");
}

TEST(PcmDecoderTest, RefusesSamplesThatContradictTheDescription) {
  ExpectRefused({PcmEncoding::kS16Le, 8000, 1}, "", "samples", "there are no samples");
  ExpectRefused({PcmEncoding::kS16Le, 8000, 1}, "abc", "samples", "3 bytes are no whole number of frames of 2 bytes");
  ExpectRefused({PcmEncoding::kF32Le, 8000, 2}, "abcdefghijkl", "samples",
                "12 bytes are no whole number of frames of 8 bytes");
}

TEST(PcmDecoderTest, RefusesSamplesThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    ExpectRefused({PcmEncoding::kF32Le, 8000, 2}, F32({0, 0, bad, -bad}), "samples",
                  "the audio contains samples that are not a number or infinite");
  }
}

}  // namespace
}  // namespace culturetag
