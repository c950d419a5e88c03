#include "audio/window_reader.h"

#include <cmath>
#include <deque>
#include <utility>

#include "audio/audio_files.h"
#include "fakes/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using ::testing::HasSubstr;

const WindowReader::Options kOptions = {24000, {24000, 24000, 2400}, absl::Seconds(10)};

// A reader of `file`, which is kept for it.
absl::StatusOr<std::unique_ptr<WindowReader>> Open(std::string file) {
  static FakeClock clock;
  static std::deque<std::string> files;
  return WindowReader::Create(kOptions, *OpenEncoded(files.emplace_back(std::move(file))), clock);
}

std::vector<Window> ReadWindows(WindowReader& reader) {
  std::vector<Window> windows;
  while (true) {
    const absl::StatusOr<bool> more = reader.Read(windows);
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) return windows;
  }
}

TEST(WindowReaderTest, CutsAFileIntoTheWindowsThatItsHeaderPromises) {
  for (const int frames : {4410, 44100, 44101, 100000, 132300}) {
    const auto reader = Open(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 1, frames}));
    ASSERT_TRUE(reader.ok()) << reader.status();
    const auto expected = (*reader)->expected_windows();
    EXPECT_EQ(static_cast<int64_t>(ReadWindows(**reader).size()), expected) << frames << " frames";
    EXPECT_EQ((*reader)->duration(), absl::Seconds(1) * frames / 44100);
  }
}

TEST(WindowReaderTest, HandsWindowsOutAsItGoes) {
  const auto reader = Open(EncodeSine({SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 1, 44100 * 5}));
  ASSERT_TRUE(reader.ok());
  std::vector<Window> windows;
  int blocks = 0;
  for (; windows.empty(); ++blocks) ASSERT_TRUE((*reader)->Read(windows).ok());
  EXPECT_EQ(windows.size(), 1U);
  EXPECT_LT((*reader)->duration(), absl::Seconds(2));
}

TEST(WindowReaderTest, CountsTheFramesOfAnMp3WithoutACountInIt) {
  const auto reader = Open(EncodeSine({SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100, 1, 44100 * 5}));
  ASSERT_TRUE(reader.ok());
  EXPECT_NEAR(static_cast<double>((*reader)->expected_windows().value()), 5, 1);
}

TEST(WindowReaderTest, RefusesWhatIsTooLongByItsHeaderAtOnce) {
  const auto reader = Open(EncodeSine({SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 1, 44100 * 11}));
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(IsTooLong(reader.status()));
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("longer than 10s"));
}

TEST(WindowReaderTest, RefusesWhatTurnsOutToBeTooLong) {
  WindowReader::Options options = kOptions;
  options.max_duration = absl::Milliseconds(1500);
  const std::string samples(2 * 8000 * 2, '\0');
  MemorySource source(samples);
  FakeClock clock;
  const auto reader = WindowReader::Create(options, *OpenPcmStream({PcmEncoding::kS16Le, 8000, 1}, source), clock);
  ASSERT_TRUE(reader.ok());
  std::vector<Window> windows;
  absl::StatusOr<bool> more = true;
  while (more.ok() && *more) more = (*reader)->Read(windows);
  EXPECT_TRUE(IsTooLong(more.status()));
}

TEST(WindowReaderTest, RefusesAnEmptyStream) {
  MemorySource source("");
  FakeClock clock;
  const auto reader = WindowReader::Create(kOptions, *OpenPcmStream({PcmEncoding::kS16Le, 8000, 1}, source), clock);
  std::vector<Window> windows;
  EXPECT_EQ((*reader)->Read(windows).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace culturetag
