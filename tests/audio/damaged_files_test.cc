// Decoding of what is no whole, honest file: cut, damaged and streamed files, headers that lie, random bytes.
#include <algorithm>
#include <random>
#include <utility>

#include "audio/audio_files.h"
#include "audio/decoder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// --- files that end too early

// All formats whose headers say how long the audio is, and that are not so rare that libsndfile is left to judge.
std::vector<AudioFileSpec> SpecsWithLength() {
  const std::vector<int> containers = {SF_FORMAT_WAV,  SF_FORMAT_WAVEX, SF_FORMAT_RF64, SF_FORMAT_W64,
                                       SF_FORMAT_AIFF, SF_FORMAT_AU,    SF_FORMAT_CAF,  SF_FORMAT_SVX,
                                       SF_FORMAT_FLAC, SF_FORMAT_OGG,   SF_FORMAT_MPEG, SF_FORMAT_SDS};
  std::vector<AudioFileSpec> specs;
  for (const int channels : {1, 2}) {
    for (const AudioFileSpec& spec : WritableSpecs(channels)) {
      if (std::count(containers.begin(), containers.end(), spec.format & SF_FORMAT_TYPEMASK) != 0) specs.push_back(spec);
    }
  }
  return specs;
}

TEST(TruncationTest, IsFoundWhereverAFileIsCut) {
  std::mt19937 random(1);
  for (const AudioFileSpec& spec : SpecsWithLength()) {
    SCOPED_TRACE(Describe(spec));
    const std::string file = EncodeSine(spec);
    // A last byte of padding isn't missed, as a test below says. So the shortest cut is of two.
    std::vector<size_t> sizes = {1, 4, 12, file.size() / 2, file.size() - 100, file.size() - 2};
    for (int i = 0; i < 10; ++i) sizes.push_back(std::uniform_int_distribution<size_t>(1, file.size() - 2)(random));
    for (const size_t size : sizes) {
      const auto samples = DecodeAll(absl::string_view(file).substr(0, size));
      ASSERT_EQ(samples.status().code(), absl::StatusCode::kInvalidArgument) << "cut to " << size << " of " << file.size();
    }
  }
}

TEST(TruncationTest, SaysWhatIsThereAndWhatWasPromised) {
  const auto error = [](int format, int rate, size_t cut) {
    const std::string file = EncodeSine({format, rate});
    return std::string(DecodeAll(absl::string_view(file).substr(0, file.size() - cut)).status().message());
  };
  EXPECT_EQ(error(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 1000),
            "the WAV file is truncated: its header promises 17640 bytes of samples, only 16640 are there");
  EXPECT_EQ(error(SF_FORMAT_AU | SF_FORMAT_PCM_16, 44100, 1000),
            "the AU file is truncated: its header promises 17640 bytes of samples, only 16640 are there");
  EXPECT_THAT(error(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 1000),
              MatchesRegex("the FLAC/PCM_16 file is damaged or cut after frame [0-9]+ of 8820: .*"));
  EXPECT_THAT(error(SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1), HasSubstr("bytes of its last page"));
  EXPECT_THAT(error(SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 1), HasSubstr("bytes in its last frame"));
}

TEST(TruncationTest, AMissingByteOfPaddingIsNoTruncation) {
  const AudioFileSpec spec = {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8000, 1, 1001};
  const std::string file = EncodeSine(spec);
  const auto samples = DecodeAll(absl::string_view(file).substr(0, file.size() - 1));
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(*samples, *DecodeAll(file));
}

TEST(TruncationTest, TagsBehindTheAudioAreNoMatter) {
  const std::string id3v1 = "TAG" + std::string(125, 'x');
  const std::string ape =
      "APETAGEX" + std::string("\xd0\x07\0\0\x30\x07\0\0\1\0\0\0\0\0\0\xa0", 16) + std::string(8 + 1840, '\0');
  const std::string list = std::string("LIST\x08\0\0\0INFOISFT", 16);
  for (const AudioFileSpec& spec : SpecsWithLength()) {
    SCOPED_TRACE(Describe(spec));
    const std::string file = EncodeSine(spec);
    const auto plain = DecodeAll(file);
    for (const std::string& tag : {id3v1, ape, list}) {
      const auto samples = DecodeAll(file + tag);
      ASSERT_TRUE(samples.ok()) << samples.status();
      EXPECT_EQ(*samples, *plain);
    }
  }
}

TEST(DamageTest, IsFoundInTheMiddleOfACompressedFile) {
  const int formats[] = {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS,
                         SF_FORMAT_OGG | SF_FORMAT_OPUS, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III};
  for (const int format : formats) {
    const AudioFileSpec spec = {format, 48000, 1, 480000};
    const std::string file = EncodeSine(spec);
    const std::string damaged = Patched(file, file.size() / 2, std::string(500, '\x5a'));
    EXPECT_EQ(DecodeAll(damaged).status().code(), absl::StatusCode::kInvalidArgument) << Describe(spec);
  }
}

// --- files from writers that could not seek back

struct StreamedFile {
  const char* name;
  int format;
  std::vector<std::pair<size_t, std::string>> patches;
};

TEST(StreamedFileTest, IsDecodedToItsEnd) {
  const std::string ones(8, '\xff');
  const std::string zeros(8, '\0');
  const int pcm = SF_FORMAT_PCM_16;
  const std::vector<StreamedFile> files = {
      {"WAV by ffmpeg", SF_FORMAT_WAV | pcm, {{4, ones.substr(4)}, {40, ones.substr(4)}}},
      {"WAV by SoX",
       SF_FORMAT_WAV | pcm,
       {{4, std::string("\x24\xf0\xff\x7f", 4)}, {40, std::string("\0\xf0\xff\x7f", 4)}}},
      {"WAV with zeros", SF_FORMAT_WAV | pcm, {{4, zeros.substr(4)}, {40, zeros.substr(4)}}},
      {"WAV with the header's size", SF_FORMAT_WAV | pcm, {{4, std::string("\x24\0\0\0", 4)}, {40, zeros.substr(4)}}},
      {"RF64 by ffmpeg", SF_FORMAT_RF64 | pcm, {{20, zeros + zeros}}},
      {"W64 by ffmpeg", SF_FORMAT_W64 | pcm, {{16, ones}, {96, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f")}}},
      {"AU by ffmpeg", SF_FORMAT_AU | pcm, {{8, ones.substr(4)}}},
      {"AU with zeros", SF_FORMAT_AU | pcm, {{8, zeros.substr(4)}}},
      {"AIFF by ffmpeg", SF_FORMAT_AIFF | pcm, {{4, zeros.substr(4)}, {22, zeros.substr(4)}, {42, zeros.substr(4)}}},
      {"FLAC without a total", SF_FORMAT_FLAC | pcm, {{22, zeros.substr(4)}}},
  };
  for (const StreamedFile& streamed : files) {
    SCOPED_TRACE(streamed.name);
    const std::string file = EncodeSine({streamed.format});
    std::string patched = file;
    for (const auto& [offset, bytes] : streamed.patches) patched = Patched(patched, offset, bytes);
    ASSERT_NE(patched, file);
    const auto samples = DecodeAll(patched);
    ASSERT_TRUE(samples.ok()) << samples.status();
    EXPECT_EQ(*samples, *DecodeAll(file));
  }
}

TEST(StreamedFileTest, CafWithoutASizeIsDecodedToItsEnd) {
  const std::string file = EncodeSine({SF_FORMAT_CAF | SF_FORMAT_PCM_16});
  const size_t data = file.rfind("data", 5000);
  const auto samples = DecodeAll(Patched(file, data + 4, std::string(8, '\xff')));
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(*samples, *DecodeAll(file));
}

// libsndfile takes the first frame's bit rate for the whole file's: a quiet start would end it early.
TEST(StreamedFileTest, Mp3OfVaryingRateWithoutACountIsDecodedToItsEnd) {
  AudioFileSpec spec = {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 1, 441000};
  std::mt19937 random(3);
  std::vector<float> samples(static_cast<size_t>(spec.frame_count), 0.0F);
  std::generate(samples.begin() + spec.frame_count / 2, samples.end(),
                [&random] { return std::uniform_real_distribution<float>(-0.5F, 0.5F)(random); });
  const std::string file = Encode(spec, samples);
  const size_t second_frame = file.find(file.substr(0, 2), 4);
  for (const size_t start : {size_t{0}, second_frame}) {
    const auto decoded = DecodeAll(absl::string_view(file).substr(start));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_NEAR(static_cast<double>(decoded->size()), spec.frame_count, 3 * 1152.0);
  }
}

// --- headers that lie

TEST(LyingHeaderTest, PromisesOfTooMuchAreRefused) {
  const std::string wav = EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16});
  EXPECT_EQ(DecodeAll(Patched(wav, 40, std::string("\xfe\xff\xff\xff", 4))).status(),
            absl::InvalidArgumentError(
                "the WAV file is truncated: its header promises 4294967294 bytes of samples, only 17640 are there"));
  // 2^36 - 1 frames, the most that a FLAC header can say: opened without a thought of room for them.
  const std::string flac = EncodeSine({SF_FORMAT_FLAC | SF_FORMAT_PCM_16});
  const std::string lying_flac = Patched(flac, 21, std::string("\xff\xff\xff\xff\xff", 5));
  EXPECT_EQ(DecodeAll(lying_flac).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(LyingHeaderTest, ImpossibleFieldsAreRefused) {
  const std::string wav = EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16});
  const std::string zeros(4, '\0');
  const std::string ones(4, '\xff');
  for (const size_t field : {size_t{22}, size_t{24}}) {  // channels, rate
    const size_t width = field == 22 ? 2 : 4;
    EXPECT_EQ(DecodeAll(Patched(wav, field, zeros.substr(0, width))).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(DecodeAll(Patched(wav, field, ones.substr(0, width))).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

// --- bytes that are no file at all

// Either the samples of something decodable or INVALID_ARGUMENT; the sanitizers watch the rest.
bool IsRefused(absl::string_view bytes) {
  const auto samples = DecodeAll(bytes);
  EXPECT_TRUE(samples.ok() || absl::IsInvalidArgument(samples.status())) << samples.status();
  return !samples.ok();
}

std::string RandomBytes(std::mt19937& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(GarbageTest, RandomBytesAreRefused) {
  std::mt19937 random(20260101);
  for (int i = 0; i < 2000; ++i) {
    EXPECT_TRUE(IsRefused(RandomBytes(random, random() % 4096))) << "payload " << i;
  }
}

TEST(GarbageTest, RandomBytesBehindAMagicNumberAreRefusedOrDecoded) {
  const std::vector<std::string> magics = {
      std::string("RIFF\xf0\0\0\0WAVEfmt ", 16), std::string("FORM\0\0\0\xf0" "AIFFCOMM", 16), ".snd", "fLaC", "OggS",
      std::string("ID3\4\0\0\0\0\0\0", 10), "\xff\xfb", std::string("caff\0\1\0\0desc", 12), "NIST_1A\n", "2BIT", "PVF1\n"};
  std::mt19937 random(20260102);
  for (int i = 0; i < 2000; ++i) {
    IsRefused(magics[static_cast<size_t>(i) % magics.size()] + RandomBytes(random, random() % 2048));
  }
}

TEST(GarbageTest, FilesWithDamagedBytesAreRefusedOrDecoded) {
  std::mt19937 random(20260103);
  for (AudioFileSpec spec : WritableSpecs(1)) {
    spec.frame_count = 1000;
    const std::string file = EncodeSine(spec);
    for (int i = 0; i < 10; ++i) {
      std::string damaged = file;
      for (int k = 0; k < 4; ++k) damaged[random() % std::min<size_t>(damaged.size(), 200)] = static_cast<char>(random());
      IsRefused(damaged);
    }
  }
}

}  // namespace
}  // namespace culturetag
