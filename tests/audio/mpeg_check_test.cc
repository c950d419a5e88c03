// CheckMpeg of audio/container_check.h.
#include "absl/strings/str_cat.h"
#include "audio/container_bytes.h"
#include "audio/container_check.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

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
