#include "audio/container_check.h"

#include "absl/strings/str_cat.h"
#include "audio/audio_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {

bool operator==(const BytePatch& a, const BytePatch& b) { return a.offset == b.offset && a.bytes == b.bytes; }

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Le32(uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string Be32(uint32_t value) {
  const std::string bytes = Le32(value);
  return std::string(bytes.rbegin(), bytes.rend());
}

void ExpectWhole(absl::string_view bytes) {
  const auto view = CheckContainer(bytes);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->size, bytes.size());
  EXPECT_EQ(view->claimed_size, static_cast<int64_t>(bytes.size()));
  EXPECT_THAT(view->patches, IsEmpty());
}

TEST(ReadIntegerTest, ReadsBothByteOrders) {
  const std::string bytes = "\x01\x02\x03\x04\x05\x06\x07\x08\x09";
  EXPECT_EQ(ReadInteger(bytes, 1, 2, false), 0x0302U);
  EXPECT_EQ(ReadInteger(bytes, 1, 2, true), 0x0203U);
  EXPECT_EQ(ReadInteger(bytes, 1, 8, true), 0x0203040506070809U);
}

TEST(CheckContainerTest, ViewsWhatItDoesNotKnowWhole) {
  ExpectWhole("");
  ExpectWhole("anything");
  ExpectWhole("fLaC");
}

TEST(CheckContainerTest, LeavesHeadersWithoutSamplesToTheDecoder) {
  for (const char* magic : {"RIFF", "RIFX", "RF64", "FORM", "riff", "caff", "ID3", "\xff\xfb"}) {
    for (size_t length = 4; length < 60; ++length) {
      std::string bytes = magic;
      bytes.resize(length, '\0');
      ExpectWhole(bytes);
    }
  }
}

TEST(TruncatedErrorTest, SaysWhatIsThereAndWhatWasPromised) {
  EXPECT_EQ(TruncatedError("WAV", 99, 100, "bytes of samples"),
            absl::InvalidArgumentError(
                "the WAV file is truncated: its header promises 100 bytes of samples, only 99 are there"));
}

// --- chunks

// A WAV file whose chunk of samples says `declared` and has `present` bytes.
std::string Wav(uint32_t outer, uint32_t declared, size_t present) {
  return absl::StrCat("RIFF", Le32(outer), "WAVE", "fmt ", Le32(16), std::string(16, '\1'), "data", Le32(declared),
                      std::string(present, '\2'));
}

TEST(CheckChunksTest, AcceptsAChunkThatIsThere) {
  ExpectWhole(Wav(136, 100, 100));
  ExpectWhole(Wav(136, 100, 120));
}

TEST(CheckChunksTest, RefusesAChunkThatIsNot) {
  EXPECT_EQ(CheckContainer(Wav(136, 100, 99)).status(),
            TruncatedError("WAV", 99, 100, "bytes of samples"));
}

TEST(CheckChunksTest, DoesNotMindTheOuterSize) { ExpectWhole(Wav(5000, 100, 100)); }

TEST(CheckChunksTest, PatchesThePlaceholdersOfStreamingWriters) {
  for (const uint32_t placeholder : {0xffffffffU, 0x7ffff000U, 0x7fffeffcU}) {
    const auto view = CheckContainer(Wav(0xffffffff, placeholder, 300));
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_THAT(view->patches, ElementsAre(BytePatch{40, Le32(300)}));
  }
}

TEST(CheckChunksTest, TakesZeroForAPlaceholderOnlyIfNothingShouldFollow) {
  EXPECT_THAT(CheckContainer(Wav(0, 0, 300))->patches, ElementsAre(BytePatch{40, Le32(300)}));
  EXPECT_THAT(CheckContainer(Wav(36, 0, 300))->patches, ElementsAre(BytePatch{40, Le32(300)}));
  ExpectWhole(Wav(336, 0, 300));  // an empty chunk, and others behind it
}

TEST(CheckChunksTest, ReadsRf64SizesFromTheDs64Chunk) {
  const auto rf64 = [](uint32_t declared, size_t present) {
    return absl::StrCat("RF64", Le32(0xffffffff), "WAVE", "ds64", Le32(28), Le32(0), Le32(0), Le32(declared),
                        std::string(16, '\0'), "data", Le32(0xffffffff), std::string(present, '\2'));
  };
  ExpectWhole(rf64(100, 100));
  EXPECT_EQ(CheckContainer(rf64(100, 60)).status(),
            TruncatedError("RF64", 60, 100, "bytes of samples"));
  EXPECT_THAT(CheckContainer(rf64(0, 60))->patches, ElementsAre(BytePatch{28, Le32(60) + Le32(0)}));
}

TEST(CheckChunksTest, LeavesOutWhatFollowsTheSamplesWhereTheyComeLast) {
  const std::string svx = absl::StrCat("FORM", Be32(1000), "8SVX", "BODY", Be32(50), std::string(50, '\2'));
  EXPECT_EQ(CheckContainer(svx + "ANNO and so on")->size, svx.size());
}

TEST(CheckChunksTest, SkipsThePaddingOfOddChunks) {
  const std::string name = absl::StrCat("NAME", Be32(3), "abc", std::string(1, '\0'));
  const std::string aiff = absl::StrCat("FORM", Be32(1000), "AIFF", name, "SSND", Be32(50), std::string(49, '\2'));
  EXPECT_EQ(CheckContainer(aiff).status(),
            TruncatedError("AIFF", 49, 50, "bytes of samples"));
}

TEST(CheckChunksTest, SurvivesSizesThatOverflow) {
  const std::string huge(8, '\xff');
  ExpectWhole(absl::StrCat("caff", Be32(0x10000), "desc", huge, "data", Be32(0), Be32(9)));
  ExpectWhole(absl::StrCat("riff", std::string(36, '\1'), "fmt ", std::string(12, '\0'), huge, "data"));
}

// --- AU

TEST(CheckAuTest, ComparesTheSizeInTheHeader) {
  const auto au = [](uint32_t declared, size_t present) {
    return absl::StrCat(".snd", Be32(24), Be32(declared), std::string(12, '\0'), std::string(present, '\2'));
  };
  ExpectWhole(au(100, 100));
  EXPECT_EQ(CheckContainer(au(100, 99)).status(),
            TruncatedError("AU", 99, 100, "bytes of samples"));
  EXPECT_EQ(CheckContainer(au(100, 120))->size, 124U);
  EXPECT_THAT(CheckContainer(au(0xffffffff, 99))->patches, ElementsAre(BytePatch{8, Be32(99)}));
  EXPECT_THAT(CheckContainer(au(0, 99))->patches, ElementsAre(BytePatch{8, Be32(99)}));
}

// --- Ogg

constexpr int kContinued = 1;
constexpr int kFirst = 2;
constexpr int kLast = 4;

// The checksum as RFC 3533 defines it, bit by bit.
uint32_t OggChecksum(const std::string& page) {
  uint32_t checksum = 0;
  for (const char byte : page) {
    checksum ^= static_cast<uint32_t>(static_cast<unsigned char>(byte)) << 24;
    for (int bit = 0; bit < 8; ++bit) checksum = checksum << 1 ^ ((checksum & 0x80000000U) != 0 ? 0x04c11db7U : 0U);
  }
  return checksum;
}

// A page of one segment.
std::string OggPage(int flags, uint32_t serial, uint32_t sequence, const std::string& content) {
  std::string page(27, '\0');
  page.replace(0, 4, "OggS");
  page[5] = static_cast<char>(flags);
  page.replace(14, 4, Le32(serial));
  page.replace(18, 4, Le32(sequence));
  page[26] = 1;
  page += static_cast<char>(content.size());
  page += content;
  return page.replace(22, 4, Le32(OggChecksum(page)));
}

// A stream of three pages of 40 bytes.
std::string OggStream(uint32_t serial) {
  const std::string content(12, '\3');
  return OggPage(kFirst, serial, 0, content) + OggPage(0, serial, 1, content) + OggPage(kLast, serial, 2, content);
}

TEST(CheckOggTest, AcceptsStreamsThatEnd) {
  ExpectWhole(OggStream(7));
  ExpectWhole(OggPage(kFirst, 7, 0, "a") + OggPage(kFirst, 8, 0, "b") + OggPage(kLast, 8, 1, "c") + OggPage(kLast, 7, 1, "d"));
}

TEST(CheckOggTest, LeavesOutWhatFollowsTheLastPage) {
  EXPECT_EQ(CheckContainer(OggStream(7) + "TAG and so on")->size, 120U);
}

TEST(CheckOggTest, RefusesAStreamWithoutAnEnd) {
  EXPECT_EQ(CheckContainer(OggStream(7).substr(0, 80)).status(),
            absl::InvalidArgumentError(
                "the Ogg file is truncated or damaged: its pages end at byte 80 of 80 without a last page"));
  const std::string one_of_two = OggPage(kFirst, 7, 0, "a") + OggPage(kFirst, 8, 0, "b") + OggPage(kLast, 8, 1, "c");
  EXPECT_EQ(CheckContainer(one_of_two).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(CheckOggTest, RefusesAPageThatIsCutAnywhere) {
  const std::string pages = OggStream(7);
  for (size_t size = 4; size < pages.size(); ++size) {
    EXPECT_EQ(CheckContainer(pages.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(CheckOggTest, RefusesAHoleBetweenPages) {
  EXPECT_EQ(CheckContainer(OggStream(7).insert(40, "hole")).status(),
            absl::InvalidArgumentError(
                "the Ogg file is truncated or damaged: its pages end at byte 40 of 124 without a last page"));
}

TEST(CheckOggTest, RefusesAPageWithAFlippedBit) {
  for (size_t i = 40 + 6; i < 80; ++i) {  // beyond what makes it a page
    if (i == 40 + 26 || i == 40 + 27) continue;  // lengths: then it is another page
    std::string pages = OggStream(7);
    pages[i] = static_cast<char>(pages[i] ^ 0x10);
    EXPECT_EQ(CheckContainer(pages).status(),
              absl::InvalidArgumentError("the Ogg file is damaged: the page at byte 40 has a wrong checksum"));
  }
}

TEST(CheckOggTest, RefusesHeadersWithAPageMissing) {
  EXPECT_EQ(CheckContainer(OggStream(7).erase(40, 40)).status(),
            absl::InvalidArgumentError("the Ogg file is damaged: the page at byte 40 does not follow the one before it"));
  EXPECT_EQ(CheckContainer(OggPage(kFirst, 7, 0, "a") + OggPage(kContinued | kLast, 7, 1, "b")).status(),
            absl::InvalidArgumentError("the Ogg file is damaged: the page at byte 29 does not follow the one before it"));
}

TEST(CheckOggTest, RefusesAPageOfAStreamThatWasNeverOpened) {
  EXPECT_EQ(CheckContainer(OggPage(kFirst, 7, 0, "a") + OggPage(kLast, 8, 0, "b")).status(),
            absl::InvalidArgumentError("the Ogg file is damaged: the page at byte 29 belongs to no stream that was opened"));
}

TEST(CheckOggTest, RefusesChainedStreams) {
  EXPECT_EQ(CheckContainer(OggStream(7) + OggStream(8)).status(),
            absl::InvalidArgumentError("the Ogg file is chained: send each of the streams in it as a file of its own"));
}

// libsndfile 1.2 leaks what it has read of Vorbis headers that end early.
TEST(CheckOggTest, RefusesVorbisHeadersThatAreIncomplete) {
  const std::string identification =
      absl::StrCat("\1vorbis", Le32(0), "\1", Le32(44100), std::string(12, '\0'), std::string("\xb8\1", 2));
  const std::string first = OggPage(kFirst, 7, 0, identification);
  ExpectWhole(first + OggPage(0, 7, 1, "comments") + OggPage(kLast, 7, 2, "codebooks"));
  EXPECT_EQ(CheckContainer(first + OggPage(kLast, 7, 1, "comments")).status(),
            absl::InvalidArgumentError("the Ogg file ends before its Vorbis headers do"));
}

TEST(CheckOggTest, RefusesAVorbisHeaderThatLibvorbisWouldNotTake) {
  const std::string good =
      absl::StrCat("\1vorbis", Le32(0), "\1", Le32(44100), std::string(12, '\0'), std::string("\xb8\1", 2));
  const std::pair<size_t, char> faults[] = {{7, 1}, {11, 0}, {28, '\x8b'}, {28, '\xb5'}, {28, '\xe8'}, {29, 0}};
  for (const auto& [offset, byte] : faults) {
    std::string bad = good;
    bad[offset] = byte;
    EXPECT_EQ(CheckContainer(OggPage(kFirst, 7, 0, bad) + OggPage(0, 7, 1, "c") + OggPage(kLast, 7, 2, "d")).status(),
              absl::InvalidArgumentError("the Ogg file is damaged: the page at byte 0 holds no valid Vorbis header"));
  }
}

// --- MPEG

// A frame of MPEG-1 Layer III, 44.1 kHz, mono, 32 kbit/s: 104 bytes, with `content` at its front.
std::string MpegFrame(absl::string_view content = "") {
  std::string frame = absl::StrCat("\xff\xfb\x10\xc0", content);
  frame.resize(104, '\0');
  return frame;
}

std::string MpegFrames(int count) {
  std::string frames;
  for (int i = 0; i < count; ++i) frames += MpegFrame();
  return frames;
}

// The frame that holds the count of those that follow, as LAME and ffmpeg write it; with `count` only.
std::string InfoFrame(uint32_t count) { return MpegFrame(absl::StrCat(std::string(17, '\0'), "Info", Be32(1), Be32(count))); }

TEST(CheckMpegTest, AcceptsFramesAndTagsAroundThem) {
  const std::string id3v2 = absl::StrCat("ID3", std::string("\4\0\0\0\0\1\0", 7), std::string(128, 'x'));
  const std::string id3v1 = absl::StrCat("TAG", std::string(125, 'x'));
  const std::string frames = MpegFrames(3);
  for (const std::string& bytes : {frames, id3v2 + frames, frames + id3v1, id3v2 + frames + id3v1}) {
    const auto view = CheckContainer(bytes);
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ(view->size, bytes.find(frames) + frames.size());
  }
}

TEST(CheckMpegTest, ClaimsALengthThatNoBitRateExceeds) {
  EXPECT_EQ(CheckContainer(MpegFrames(3))->claimed_size, 3 * 104 * 20);
  EXPECT_EQ(CheckContainer(InfoFrame(3) + MpegFrames(3))->claimed_size, 4 * 104);
}

TEST(CheckMpegTest, RefusesALastFrameThatIsCut) {
  EXPECT_EQ(CheckContainer(MpegFrames(3).substr(0, 3 * 104 - 1)).status(),
            TruncatedError("MPEG", 103, 104, "bytes in its last frame"));
}

TEST(CheckMpegTest, HoldsTheFramesAgainstTheCount) {
  EXPECT_TRUE(CheckContainer(InfoFrame(3) + MpegFrames(3)).ok());
  EXPECT_TRUE(CheckContainer(InfoFrame(3) + MpegFrames(5)).ok());
  EXPECT_EQ(CheckContainer(InfoFrame(4) + MpegFrames(3)).status(),
            TruncatedError("MPEG", 3, 4, "frames"));
}

TEST(CheckMpegTest, HoldsTheFramesAgainstTheCountOfAVbriHeader) {
  const auto vbri = [](uint32_t count) {
    return MpegFrame(absl::StrCat(std::string(32, '\0'), "VBRI", std::string(10, '\0'), Be32(count)));
  };
  EXPECT_TRUE(CheckContainer(vbri(4) + MpegFrames(3)).ok());
  EXPECT_EQ(CheckContainer(vbri(5) + MpegFrames(3)).status(),
            TruncatedError("MPEG", 3, 4, "frames"));
}

TEST(CheckMpegTest, RefusesAHoleBetweenFrames) {
  EXPECT_EQ(CheckContainer(MpegFrames(3) + std::string(50, 'x') + MpegFrames(3)).status(),
            absl::InvalidArgumentError("the MPEG file is damaged: no frame starts at byte 312, but later ones do"));
}

TEST(CheckMpegTest, GoesOnBehindATagBetweenFrames) {
  const std::string id3v1 = absl::StrCat("TAG", std::string(125, 'x'));
  const std::string bytes = MpegFrames(3) + id3v1 + MpegFrames(3);
  EXPECT_EQ(CheckContainer(bytes)->size, bytes.size());
}

TEST(CheckMpegTest, RefusesWhatOnlyLooksLikeAFrame) {
  EXPECT_EQ(CheckContainer(MpegFrame() + "and no other").status(),
            absl::InvalidArgumentError("the bytes at 0 look like MPEG audio, but are no two frames in a row"));
  EXPECT_EQ(CheckContainer("\xff\xe1 is a byte order mark, almost").status(),
            absl::InvalidArgumentError("the bytes at 0 look like MPEG audio, but are no two frames in a row"));
}

TEST(CheckMpegTest, ViewsAnotherFormatBehindATagWhole) {
  ExpectWhole(absl::StrCat("ID3", std::string("\4\0\0\0\0\0\4", 7), "tag.", "fLaC and so on"));
}

TEST(CheckMpegTest, IgnoresJunkAtTheEnd) {
  EXPECT_EQ(CheckContainer(MpegFrames(3) + std::string(5000, '\xff'))->size, 312U);
}

}  // namespace
}  // namespace culturetag
