#include "audio/decoder.h"

#include <cmath>
#include <limits>

#include "audio/audio_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

// The cosine of the angle between two signals over their common length: 1 for equal shapes. A lossy codec's sine passes.
double Likeness(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0;
  double norm_a = 0;
  double norm_b = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    dot += a[i] * b[i];
    norm_a += a[i] * a[i];
    norm_b += b[i] * b[i];
  }
  return dot / std::sqrt(norm_a * norm_b);
}

void ExpectMaxDifference(const std::vector<float>& actual, const std::vector<float>& expected, float bound) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], bound) << "at sample " << i;
}

class EveryFormatTest : public ::testing::TestWithParam<int> {};  // the parameter: channels

TEST_P(EveryFormatTest, IsDecodedToTheMeanOfItsChannels) {
  const std::vector<AudioFileSpec> specs = WritableSpecs(GetParam());
  ASSERT_GE(specs.size(), 90U);  // libsndfile was built with FLAC, Vorbis, Opus and MP3
  for (const AudioFileSpec& spec : specs) {
    SCOPED_TRACE(Describe(spec));
    const std::string file = EncodeSine(spec);
    const auto decoder = OpenEncoded(file);
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    EXPECT_EQ((*decoder)->info().channel_count, spec.channel_count);
    // Some headers hold a period instead of a rate: 1 us in VOC, 100 ns in HTK, 1 ns in SDS.
    EXPECT_NEAR((*decoder)->info().sample_rate_hz, spec.sample_rate_hz, 0.04 * spec.sample_rate_hz);
    const auto samples = ReadAll(**decoder);
    ASSERT_TRUE(samples.ok()) << samples.status();
    // Block codecs fill up their last block.
    EXPECT_GE(samples->size(), static_cast<size_t>(spec.frame_count));
    EXPECT_LE(samples->size(), static_cast<size_t>(spec.frame_count) + 4096);
    EXPECT_GT(Likeness(*samples, SineMean(spec)), 0.98);
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, EveryFormatTest, ::testing::Values(1, 2));

TEST(DecoderTest, KeepsLosslessSamplesAtEveryRateAndChannelCount) {
  const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_24, SF_FORMAT_FLAC | SF_FORMAT_PCM_24,
                         SF_FORMAT_CAF | SF_FORMAT_FLOAT};
  for (const int format : formats) {
    for (const int rate : {8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000}) {
      for (const int channels : {1, 2, 6}) {
        const AudioFileSpec spec = {format, rate, channels, 5000};
        SCOPED_TRACE(Describe(spec));
        const auto samples = DecodeAll(EncodeSine(spec));
        ASSERT_TRUE(samples.ok()) << samples.status();
        ExpectMaxDifference(*samples, SineMean(spec), 1e-6F);
      }
    }
  }
}

TEST(DecoderTest, ScalesIntegersToTheUnitInterval) {
  const std::string file = Encode({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 3}, {-1.0F, 0.5F, 0.0F});
  EXPECT_THAT(*DecodeAll(file), ::testing::Pointwise(::testing::FloatNear(4e-5F), {-1.0F, 0.5F, 0.0F}));
}

TEST(DecoderTest, NamesContainerAndEncoding) {
  const auto name = [](int format, int rate) { return (*OpenEncoded(EncodeSine({format, rate})))->info().format; };
  EXPECT_EQ(name(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100), "WAV/PCM_16");
  EXPECT_EQ(name(SF_FORMAT_WAVEX | SF_FORMAT_FLOAT, 44100), "WAVEX/FLOAT");
  EXPECT_EQ(name(SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 44100), "FLAC/PCM_24");
  EXPECT_EQ(name(SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100), "OGG/VORBIS");
  EXPECT_EQ(name(SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000), "OGG/OPUS");
  EXPECT_EQ(name(SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100), "MP3");
}

TEST(DecoderTest, ReadsTheSameInPiecesOfAnySize) {
  const std::string file = EncodeSine({SF_FORMAT_OGG | SF_FORMAT_VORBIS});
  const auto whole = DecodeAll(file);
  for (const size_t size : {size_t{1}, size_t{1000}, size_t{100000}}) {
    const auto decoder = OpenEncoded(file);
    std::vector<float> piece(size);
    std::vector<float> samples;
    while (const size_t count = *(*decoder)->Read(absl::MakeSpan(piece))) {
      samples.insert(samples.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count));
    }
    EXPECT_EQ(samples, *whole) << "in pieces of " << size;
  }
}

TEST(DecoderTest, GoesOnReturningZeroAtTheEnd) {
  const std::string file = EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 10});
  const auto decoder = OpenEncoded(file);
  std::vector<float> piece(20);
  EXPECT_EQ(*(*decoder)->Read(absl::MakeSpan(piece)), 10U);
  EXPECT_EQ(*(*decoder)->Read(absl::MakeSpan(piece)), 0U);
  EXPECT_EQ(*(*decoder)->Read(absl::MakeSpan(piece)), 0U);
}

TEST(DecoderTest, RefusesAnEmptyFile) {
  EXPECT_EQ(OpenEncoded("").status(), absl::InvalidArgumentError("the file is empty"));
}

TEST(DecoderTest, RefusesWhatIsNoAudio) {
  const absl::Status refusal =
      absl::InvalidArgumentError("the bytes are no audio file that can be decoded, or its header is damaged");
  EXPECT_EQ(OpenEncoded("{\"this\": \"is JSON, not audio\"}").status(), refusal);
  EXPECT_EQ(OpenEncoded("R").status(), refusal);
  EXPECT_EQ(OpenEncoded(std::string(100000, '\0')).status(), refusal);
}

TEST(DecoderTest, RefusesRatesOutOfRangeAndSaysWhich) {
  EXPECT_EQ(OpenEncoded(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 3999})).status(),
            absl::InvalidArgumentError("the file's sample rate is 3999 Hz; it may be 4000 to 384000"));
  EXPECT_EQ(OpenEncoded(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 384001})).status(),
            absl::InvalidArgumentError("the file's sample rate is 384001 Hz; it may be 4000 to 384000"));
  EXPECT_TRUE(OpenEncoded(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 4000})).ok());
  EXPECT_TRUE(OpenEncoded(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 384000})).ok());
}

TEST(DecoderTest, RefusesTooManyChannelsAndSaysHowMany) {
  EXPECT_EQ(OpenEncoded(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 33, 100})).status(),
            absl::InvalidArgumentError("the file has 33 channels; it may have 1 to 32"));
  EXPECT_TRUE(OpenEncoded(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 32, 100})).ok());
}

TEST(DecoderTest, RefusesSamplesThatAreNotFinite) {
  const absl::Status refusal = absl::InvalidArgumentError("the audio contains samples that are not a number or infinite");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> stereo(10000, 0.25F);
    stereo[9001] = bad;
    EXPECT_EQ(DecodeAll(Encode({SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 2, 5000}, stereo)).status(), refusal);
  }
}

}  // namespace
}  // namespace culturetag
