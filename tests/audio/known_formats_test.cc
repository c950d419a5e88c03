#include "audio/known_formats.h"

#include "audio/audio_files.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

TEST(OpensLikeAudioTest, IsTrueOfEveryFormatThatCanBeDecoded) {
  for (const int channels : {1, 2}) {
    for (const AudioFileSpec& spec : WritableSpecs(channels)) {
      EXPECT_TRUE(OpensLikeAudio(EncodeSine(spec))) << Describe(spec);
    }
  }
}

TEST(OpensLikeAudioTest, IsFalseOfOtherFiles) {
  for (const char* start : {"PK\x03\x04", "%PDF-1.7", "<html>", "GIF89a", "\x7f" "ELF", "\x1a\x45\xdf\xa3", "\0\0\0\x20" "ftypM4A "}) {
    EXPECT_FALSE(OpensLikeAudio(std::string(start) + std::string(1000, 'x'))) << start;
  }
}

// libsndfile knows these and can't decode them.
TEST(OpensLikeAudioTest, IsFalseOfFormatsThatAreOnlyRecognised) {
  EXPECT_FALSE(OpensLikeAudio("DiamondWare Digitized\n\0\x1a" + std::string(1000, 'x')));
  EXPECT_FALSE(OpensLikeAudio("LM8953" + std::string(1000, 'x')));
  EXPECT_FALSE(OpensLikeAudio("CAT 1234REX2" + std::string(1000, 'x')));
}

TEST(OpensLikeAudioTest, IsFalseOfContainersOfSomethingElse) {
  EXPECT_FALSE(OpensLikeAudio("RIFF1234AVI " + std::string(1000, 'x')));
  EXPECT_FALSE(OpensLikeAudio("FORM1234ILBM" + std::string(1000, 'x')));
}

TEST(OpensLikeAudioTest, IsFalseOfBytesTooFewToTell) {
  EXPECT_FALSE(OpensLikeAudio(""));
  EXPECT_FALSE(OpensLikeAudio("RIFF"));
}

}  // namespace
}  // namespace culturetag
