#include "audio/container_check.h"

#include "absl/strings/str_cat.h"
#include "audio/audio_files.h"
#include "audio/container_bytes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {

bool operator==(const BytePatch& a, const BytePatch& b) { return a.offset == b.offset && a.bytes == b.bytes; }

namespace {

using ::testing::ElementsAre;

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

// --- SDS

TEST(CheckSdsTest, CountsThePackets) {
  // 16 bits take three bytes of a packet's 120, so that 70 frames take two packets.
  const std::string header = std::string("\xf0\x7e\0\1\0\0\x10\0\0\0\x46\0\0", 13) + std::string(7, '\0') + "\xf7";
  const std::string packet = std::string("\xf0\x7e\0\2", 4) + std::string(122, '\0') + "\xf7";
  ExpectWhole(header + packet + packet);
  EXPECT_EQ(CheckContainer(header + packet + packet.substr(1)).status(), TruncatedError("SDS", 1, 2, "packets"));
  EXPECT_EQ(CheckContainer(header + packet + std::string(127, '\0')).status(), TruncatedError("SDS", 1, 2, "packets"));
  EXPECT_EQ(CheckContainer(Patched(header, 6, "\x1d") + packet + packet).status(),
            absl::InvalidArgumentError("the SDS file's samples have 29 bits; they may have 8 to 28"));
}

}  // namespace
}  // namespace culturetag
