#include "client/audio_file.h"

#include <filesystem>
#include <sstream>
#include <variant>

#include <gtest/gtest.h>

#include "client/temporary_folder.h"

namespace culturetag::client {
namespace {

class ReadAudioFileTest : public testing::Test {
 protected:
  std::string Bytes(const std::string& name) {
    const Outcome<std::string> outcome = ReadAudioFile(name, standard_input_);
    return std::holds_alternative<std::string>(outcome) ? std::get<std::string>(outcome) : "(failed)";
  }

  std::string Error(const std::string& name) {
    const Outcome<std::string> outcome = ReadAudioFile(name, standard_input_);
    const auto* const failure = std::get_if<Failure>(&outcome);
    return failure == nullptr ? "(worked)" : failure->code + ": " + failure->message;
  }

  TemporaryFolder folder_;
  std::istringstream standard_input_;
};

TEST_F(ReadAudioFileTest, ReturnsEveryByteOfAFile) {
  std::string bytes(200001, 'x');
  bytes[7] = '\0';
  bytes[65536] = '\n';
  EXPECT_EQ(Bytes(folder_.Write("a.wav", bytes)), bytes);
}

TEST_F(ReadAudioFileTest, ReadsStandardInputToItsEnd) {
  standard_input_.str(std::string(70000, 'y'));
  EXPECT_EQ(Bytes("-"), std::string(70000, 'y'));
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

}  // namespace
}  // namespace culturetag::client
