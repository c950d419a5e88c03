#include "client/audio_file.h"

#include <filesystem>
#include <string>
#include <variant>

#include <gtest/gtest.h>

#include "client/run_culturetag.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

class ReadAudioFileTest : public testing::Test {
 protected:
  std::string Bytes(const std::string& name, const std::string& standard_input = "") {
    const Outcome<std::string> outcome = ReadAudioFile(name, InputFile(standard_input).fd());
    return std::holds_alternative<std::string>(outcome) ? std::get<std::string>(outcome) : "(failed)";
  }

  std::string Error(const std::string& name) {
    const Outcome<std::string> outcome = ReadAudioFile(name, InputFile("").fd());
    const auto* const failure = std::get_if<Failure>(&outcome);
    return failure == nullptr ? "(worked)" : failure->code + ": " + failure->message;
  }

  TemporaryFolder folder_;
};

TEST_F(ReadAudioFileTest, ReturnsEveryByteOfAFile) {
  std::string bytes(200001, 'x');
  bytes[7] = '\0';
  bytes[65536] = '\n';
  EXPECT_EQ(Bytes(folder_.Write("a.wav", bytes)), bytes);
}

TEST_F(ReadAudioFileTest, ReadsStandardInputToItsEnd) {
  EXPECT_EQ(Bytes("-", std::string(70000, 'y')), std::string(70000, 'y'));
}

TEST_F(ReadAudioFileTest, SaysThatAFileIsMissing) {
  EXPECT_EQ(Error(folder_.path() + "/no"), "NOT_FOUND: no such file");
}

TEST_F(ReadAudioFileTest, SaysThatADirectoryIsOne) {
  EXPECT_EQ(Error(folder_.path()), "INVALID_ARGUMENT: this is a directory; name the files in it");
}

TEST_F(ReadAudioFileTest, SaysThatNothingIsInAFile) {
  EXPECT_EQ(Error(folder_.Write("empty.wav", "")), "INVALID_ARGUMENT: the input is empty");
  EXPECT_EQ(Error("-"), "INVALID_ARGUMENT: the input is empty");
}

TEST_F(ReadAudioFileTest, RefusesAFileThatNoRequestCanCarryWithoutReadingIt) {
  const std::string file = folder_.Write("huge.wav", "");
  std::filesystem::resize_file(file, std::uintmax_t{1} << 40);  // a hole: no disk space
  EXPECT_EQ(Error(file), "INVALID_ARGUMENT: the input is larger than 2 GiB, the most that one request can carry");
}

TEST(OpenAudioFileTest, LeavesTheRestOfALargeInputToBeRead) {
  const InputFile in(std::string(100000, 'z'));
  const Outcome<AudioInput> outcome = OpenAudioFile("-", in.fd(), 65536);
  const auto& input = std::get<AudioInput>(outcome);
  ASSERT_NE(input.rest, nullptr);
  std::string rest(100000, '\0');
  const std::size_t count = std::get<std::size_t>(input.rest->Read(rest.data(), rest.size()));
  EXPECT_EQ(input.bytes + rest.substr(0, count), std::string(100000, 'z'));
}

TEST(OpenAudioFileTest, ReadsNothingOfALargeFile) {
  const TemporaryFolder folder;
  const Outcome<AudioInput> outcome = OpenAudioFile(folder.Write("a.wav", "12345"), -1, 4);
  const auto& input = std::get<AudioInput>(outcome);
  ASSERT_NE(input.rest, nullptr);
  EXPECT_EQ(input.bytes, "");
  EXPECT_TRUE(input.rest->rewindable());
}

}  // namespace
}  // namespace culturetag::client
