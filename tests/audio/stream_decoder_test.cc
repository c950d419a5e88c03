// Decoding of files that are still coming: the same samples and the same errors as of files that are there.
#include <random>

#include "audio/audio_files.h"
#include "audio/chunked_source.h"
#include "audio/decoder.h"
#include "audio/virtual_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using ::testing::HasSubstr;

class StreamDecoderTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<float>> DecodeStream(ByteSource& source) {
    const auto decoder = OpenEncodedStream(source, {testing::TempDir(), &budget_});
    if (!decoder.ok()) return decoder.status();
    return ReadAll(**decoder);
  }
  absl::StatusOr<std::vector<float>> DecodeInChunks(absl::string_view file, size_t chunk) {
    ChunkedSource source(file, [chunk] { return chunk; });
    return DecodeStream(source);
  }

  ByteBudget budget_{int64_t{1} << 30};
};

TEST_F(StreamDecoderTest, GivesTheSamplesOfTheWholeFileInEveryFormat) {
  std::mt19937 random(1);
  for (const int channels : {1, 2}) {
    for (const AudioFileSpec& spec : WritableSpecs(channels)) {
      SCOPED_TRACE(Describe(spec));
      const std::string file = EncodeSine(spec);
      const auto whole = DecodeAll(file);
      ASSERT_TRUE(whole.ok()) << whole.status();
      ChunkedSource source(file, [&random] { return random() % 3000; });
      const auto stream = DecodeStream(source);
      ASSERT_TRUE(stream.ok()) << stream.status();
      ASSERT_EQ(*stream, *whole);
    }
  }
}

TEST_F(StreamDecoderTest, DoesntDependOnTheSizeOfTheChunks) {
  const int mp3 = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_24, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, mp3, SF_FORMAT_OGG | SF_FORMAT_VORBIS}) {
    AudioFileSpec spec{format, 44100, 2, 60000};
    SCOPED_TRACE(Describe(spec));
    const std::string file = EncodeSine(spec);
    const auto whole = DecodeAll(file);
    ASSERT_TRUE(whole.ok()) << whole.status();
    for (const size_t chunk : {size_t{1}, size_t{7}, size_t{1} << 10, size_t{1} << 20}) {
      const auto stream = DecodeInChunks(file, chunk);
      ASSERT_TRUE(stream.ok()) << stream.status() << " in chunks of " << chunk;
      ASSERT_EQ(*stream, *whole) << "in chunks of " << chunk;
    }
  }
}

TEST_F(StreamDecoderTest, BeginsBeforeTheFileIsThere) {
  const int mp3 = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_WAV | SF_FORMAT_FLOAT, SF_FORMAT_AIFF | SF_FORMAT_PCM_16,
                           SF_FORMAT_W64 | SF_FORMAT_PCM_16, SF_FORMAT_RF64 | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, mp3}) {
    AudioFileSpec spec{format, 44100, 1, 44100 * 60};
    SCOPED_TRACE(Describe(spec));
    const std::string file = EncodeSine(spec);
    ChunkedSource source(file, [] { return 4096; });
    const auto decoder = OpenEncodedStream(source, {testing::TempDir(), &budget_});
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    std::vector<float> second(44100);
    const auto read = (*decoder)->Read(absl::MakeSpan(second));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_GT(*read, 0U);
    EXPECT_LT(source.read(), file.size() / 2);
    EXPECT_EQ(budget_.left(), int64_t{1} << 30) << "it was spooled";
  }
}

TEST_F(StreamDecoderTest, FindsThatAFileWasCut) {
  std::mt19937 random(2);
  const int mp3 = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, mp3,
                           SF_FORMAT_OGG | SF_FORMAT_VORBIS}) {
    AudioFileSpec spec{format, 44100, 1, 44100};
    SCOPED_TRACE(Describe(spec));
    const std::string file = EncodeSine(spec);
    for (int i = 0; i < 20; ++i) {
      const size_t size = 64 + random() % (file.size() - 66);
      const auto samples = DecodeInChunks(absl::string_view(file).substr(0, size), 1000);
      ASSERT_EQ(samples.status().code(), absl::StatusCode::kInvalidArgument) << "cut to " << size << " of " << file.size();
    }
  }
}

TEST_F(StreamDecoderTest, DecodesAWavWhoseWriterDidNotKnowItsLength) {
  const std::string file = EncodeSine({});
  const auto whole = DecodeAll(file);
  ASSERT_TRUE(whole.ok());
  // As ffmpeg writes to a pipe.
  const std::string piped = Patched(Patched(file, 4, "\xff\xff\xff\xff"), 40, "\xff\xff\xff\xff");
  const auto stream = DecodeInChunks(piped, 999);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(*stream, *whole);
}

TEST_F(StreamDecoderTest, IgnoresTagsAroundAnMp3) {
  const std::string file = EncodeSine({SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 1, 44100});
  const auto whole = DecodeAll(file);
  ASSERT_TRUE(whole.ok());
  std::string picture(300000, 'p');  // cover art, in a tag whose size is written in bytes of seven bits
  const size_t size = picture.size();
  std::string id3 = {'I', 'D', '3', 4, 0, 0, static_cast<char>(size >> 21 & 127), static_cast<char>(size >> 14 & 127),
                     static_cast<char>(size >> 7 & 127), static_cast<char>(size & 127)};
  const std::string id3v1 = "TAG" + std::string(125, 'x');
  const auto stream = DecodeInChunks(id3 + picture + file + id3v1, 5000);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(*stream, *whole);
}

TEST_F(StreamDecoderTest, DecodesAFlacBehindATagOfAnySize) {
  const std::string file = EncodeSine({SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 1, 44100});
  const auto whole = DecodeAll(file);
  ASSERT_TRUE(whole.ok());
  for (const size_t size : {1000, 100'000, 1'000'000}) {
    const std::string id3 = {'I', 'D', '3', 4, 0, 0, static_cast<char>(size >> 21 & 127), static_cast<char>(size >> 14 & 127),
                             static_cast<char>(size >> 7 & 127), static_cast<char>(size & 127)};
    const auto stream = DecodeInChunks(id3 + std::string(size, 'p') + file, 5000);
    ASSERT_TRUE(stream.ok()) << stream.status() << " behind a tag of " << size;
    EXPECT_EQ(*stream, *whole);
  }
}

TEST_F(StreamDecoderTest, FindsATagBetweenTwoMp3sInAnyChunking) {
  const std::string file = EncodeSine({SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 1, 44100});
  const size_t count = file.find("Info") != std::string::npos ? file.find("Info") : file.find("Xing");
  const std::string uncounted = count == std::string::npos ? file : Patched(file, count, "none");
  const std::string two = uncounted + "TAG" + std::string(125, 'x') + uncounted;
  const auto whole = DecodeAll(two);
  for (const size_t chunk : {1, 7, 1000, 1 << 20}) {
    const auto stream = DecodeInChunks(two, chunk);
    ASSERT_EQ(stream.status(), whole.status()) << "in chunks of " << chunk;
    ASSERT_TRUE(whole.ok()) << whole.status();
    EXPECT_EQ(stream->size(), whole->size()) << "in chunks of " << chunk;
  }
}

TEST_F(StreamDecoderTest, TakesNoMetadataBehindAnEmptyChunkForSamples) {
  const std::string empty = Patched(EncodeSine({}).substr(0, 44), 40, std::string(4, '\0'));
  const std::string file = Patched(empty + "LIST" + std::string("\x40\x0d\x03\0", 4) + std::string(200'000, 'm'), 4, std::string("\x6c\x0d\x03\0", 4));
  const auto whole = DecodeAll(file);
  const auto stream = DecodeInChunks(file, 1000);
  EXPECT_EQ(stream.status().code(), whole.status().code());
  EXPECT_EQ(stream.value_or(std::vector<float>()), whole.value_or(std::vector<float>()));
}

TEST_F(StreamDecoderTest, IgnoresWhatFollowsTheSamplesOfAWav) {
  const std::string file = EncodeSine({});
  const auto stream = DecodeInChunks(file + std::string("LIST\4\0\0\0INFO", 12), 512);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(*stream, *DecodeAll(file));
}

TEST_F(StreamDecoderTest, SaysWhatIsWrongWithBytesThatAreNoAudio) {
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    std::string garbage(random() % 5000, '\0');
    for (char& byte : garbage) byte = static_cast<char>(random());
    EXPECT_EQ(DecodeInChunks(garbage, 100).status().code(), absl::StatusCode::kInvalidArgument) << "garbage " << i;
  }
  EXPECT_EQ(DecodeInChunks("", 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StreamDecoderTest, PassesOnTheErrorOfTheUpload) {
  const int mp3 = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, mp3, SF_FORMAT_OGG | SF_FORMAT_VORBIS}) {
    const std::string file = EncodeSine({format, 44100, 1, 44100 * 10});
    ChunkedSource source(file, [] { return 1000; });
    source.FailAfter(file.size() / 2, absl::UnavailableError("the network fell down"));
    EXPECT_EQ(DecodeStream(source).status(), absl::UnavailableError("the network fell down")) << format;
  }
}

TEST_F(StreamDecoderTest, RefusesAFileThatMustBeSpooledAndDoesntFit) {
  ByteBudget small(10000);
  const std::string file = EncodeSine({SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, 441000});
  ChunkedSource source(file, [] { return 1000; });
  const auto decoder = OpenEncodedStream(source, {testing::TempDir(), &small});
  EXPECT_EQ(decoder.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(decoder.status().message()), HasSubstr("--max_spool_bytes"));
  EXPECT_EQ(small.left(), 10000);
}

TEST_F(StreamDecoderTest, RefusesToSpoolWhereItCantWrite) {
  const std::string file = EncodeSine({SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100});
  ChunkedSource source(file, [] { return 1000; });
  const auto decoder = OpenEncodedStream(source, {"/no/such/folder", &budget_});
  EXPECT_EQ(decoder.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(StreamDecoderTest, GivesTheRoomOfASpooledFileBack) {
  const std::string file = EncodeSine({SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, 441000});
  EXPECT_TRUE(DecodeInChunks(file, 1000).ok());
  EXPECT_EQ(budget_.left(), int64_t{1} << 30);
}

TEST_F(StreamDecoderTest, GivesPcmAsItComes) {
  const std::vector<float> samples = {0.5F, -0.25F, 1.0F};
  const absl::string_view bytes(reinterpret_cast<const char*>(samples.data()), 12);
  for (const size_t chunk : {1, 3, 5, 12}) {
    ChunkedSource source(bytes, [chunk] { return chunk; });
    const auto decoder = OpenPcmStream({PcmEncoding::kF32Le, 8000, 1}, source);
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    const auto read = ReadAll(**decoder);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, samples);
  }
}

TEST_F(StreamDecoderTest, RefusesPcmThatEndsWithinAFrame) {
  ChunkedSource source("abcdefg", [] { return 2; });
  const auto decoder = OpenPcmStream({PcmEncoding::kS16Le, 8000, 2}, source);
  ASSERT_TRUE(decoder.ok()) << decoder.status();
  EXPECT_EQ(ReadAll(**decoder).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(StreamFileTest, ForgetsWhatLiesFarBehindAndSaysSo) {
  const std::string bytes(1 << 20, 'x');
  ContainerView view;
  view.size = bytes.size();
  view.claimed_size = static_cast<int64_t>(bytes.size());
  MemorySource source(bytes);
  StreamFile file(source, "", view);
  file.StartForgetting();
  std::vector<char> block(1 << 16);
  for (int i = 0; i < 16; ++i) ASSERT_EQ(file.Read(block.data(), 1 << 16), 1 << 16);
  EXPECT_EQ(file.Seek(-1000, SEEK_CUR), (1 << 20) - 1000);
  EXPECT_EQ(file.Read(block.data(), 10), 10);
  EXPECT_TRUE(file.status().ok());
  EXPECT_EQ(file.Seek(0, SEEK_SET), 0);
  EXPECT_EQ(file.Read(block.data(), 10), 0);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace culturetag
