#include "service/upload_buffer.h"

#include <string>
#include <thread>
#include <vector>

#include "fakes/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

class UploadBufferTest : public testing::Test {
 protected:
  std::string Read(size_t count) {
    std::vector<char> to(count);
    const auto read = buffer_.Read(absl::MakeSpan(to));
    EXPECT_TRUE(read.ok()) << read.status();
    return {to.data(), read.value_or(0)};
  }

  FakeClock clock_;
  int wanted_ = 0;
  UploadBuffer buffer_{absl::Seconds(10), clock_, [this] { ++wanted_; }};
};

TEST_F(UploadBufferTest, GivesAChunkInPiecesAndAsksForTheNextWhenItIsRead) {
  buffer_.Write("abcde");
  EXPECT_EQ(Read(3), "abc");
  EXPECT_EQ(wanted_, 0);
  EXPECT_EQ(Read(3), "de");
  EXPECT_EQ(wanted_, 1);
}

TEST_F(UploadBufferTest, EndsOnceItIsClosedAndRead) {
  buffer_.Write("ab");
  buffer_.Close();
  EXPECT_EQ(Read(10), "ab");
  EXPECT_EQ(Read(10), "");
}

TEST_F(UploadBufferTest, WantsTheNextChunkAtOnceAfterAnEmptyOne) {
  buffer_.Write("");
  EXPECT_EQ(wanted_, 1);
}

TEST_F(UploadBufferTest, WaitsForData) {
  std::thread writer([this] {
    clock_.WaitForSleepers(1);
    buffer_.Write("late");
  });
  EXPECT_EQ(Read(10), "late");
  writer.join();
}

TEST_F(UploadBufferTest, TellsHowLongItWaited) {
  std::thread writer([this] {
    clock_.WaitForSleepers(1);
    clock_.Advance(absl::Seconds(3));
    buffer_.Write("late");
  });
  Read(10);
  writer.join();
  EXPECT_EQ(buffer_.waited(), absl::Seconds(3));
}

TEST_F(UploadBufferTest, GivesUpOnASenderThatFallsSilent) {
  std::thread time([this] {
    clock_.WaitForSleepers(1);
    clock_.Advance(absl::Seconds(10));
  });
  std::vector<char> to(1);
  const absl::Status status = buffer_.Read(absl::MakeSpan(to)).status();
  time.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no data came for 10s"));
}

TEST_F(UploadBufferTest, FailsAReaderThatWaits) {
  std::thread writer([this] {
    clock_.WaitForSleepers(1);
    buffer_.Fail(absl::CancelledError("gone"));
  });
  std::vector<char> to(1);
  EXPECT_EQ(buffer_.Read(absl::MakeSpan(to)).status(), absl::CancelledError("gone"));
  writer.join();
}

}  // namespace
}  // namespace culturetag
