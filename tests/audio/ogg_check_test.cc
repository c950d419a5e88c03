// CheckOgg of audio/container_check.h.
#include <utility>

#include "absl/strings/str_cat.h"
#include "audio/container_bytes.h"
#include "audio/container_check.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

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
std::string OggPage(int flags, uint32_t serial, uint32_t sequence, const std::string& content, int version = 0) {
  std::string page(27, '\0');
  page.replace(0, 4, "OggS");
  page[4] = static_cast<char>(version);
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

// libogg drops such a page, and libsndfile then keeps for good what it has read of a Vorbis stream without it.
TEST(CheckOggTest, RefusesAPageOfAnotherVersion) {
  EXPECT_EQ(CheckContainer(OggPage(kFirst, 7, 0, "a") + OggPage(kLast, 7, 1, "b", 1)).status(),
            absl::InvalidArgumentError("the Ogg file is damaged: the page at byte 29 is of an unknown version"));
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

}  // namespace
}  // namespace culturetag
