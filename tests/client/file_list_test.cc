#include "client/file_list.h"

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/run_culturetag.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FileListTest : public testing::Test {
 protected:
  FileListTest() {
    std::filesystem::create_directories(folder_.path() + "/disc/2");
    for (const char* const name : {"b.wav", "a.MP3", "notes.txt", "disc/c.flac", "disc/2/d.opus", "disc/2/noext"}) {
      folder_.Write(name, "x");
    }
  }

  FileList List(const FileSelection& selection, const std::string& standard_input = "") {
    const Outcome<FileList> list = ListFiles(selection, InputFile(standard_input).fd());
    EXPECT_TRUE(std::holds_alternative<FileList>(list));
    return std::get<FileList>(list);
  }

  std::string In(const std::string& name) { return folder_.path() + "/" + name; }

  TemporaryFolder folder_;
};

TEST_F(FileListTest, FindsTheAudioInAFolderAndItsFoldersByPath) {
  const FileList list = List({{folder_.path()}, "", false});
  EXPECT_THAT(list.files, ElementsAre(In("a.MP3"), In("b.wav"), In("disc/2/d.opus"), In("disc/c.flac")));
  EXPECT_THAT(list.failures, IsEmpty());
}

TEST_F(FileListTest, TakesNamesAsTheyStandWhateverTheirExtensionAndWhetherTheyAreThere) {
  EXPECT_THAT(List({{In("notes.txt"), "-", In("missing")}, "", false}).files,
              ElementsAre(In("notes.txt"), "-", In("missing")));
}

TEST_F(FileListTest, ExpandsAPatternThatIsNoFile) {
  EXPECT_THAT(List({{In("*.wav"), In("disc/?.flac")}, "", false}).files, ElementsAre(In("b.wav"), In("disc/c.flac")));
  const std::string bracket = folder_.Write("song [live].wav", "x");
  EXPECT_THAT(List({{bracket}, "", false}).files, ElementsAre(bracket));
}

TEST_F(FileListTest, SaysWhichNamesStandForNothing) {
  std::filesystem::create_directory(In("empty"));
  const FileList list = List({{In("*.aiff"), In("empty")}, "", false});
  EXPECT_THAT(list.files, ElementsAre(In("*.aiff"), In("empty")));
  EXPECT_EQ(list.failures.at(In("*.aiff")).message, "no file matches");
  EXPECT_EQ(list.failures.at(In("empty")).message, "no audio file is in this folder");
}

TEST_F(FileListTest, ReadsMoreNamesFromAList) {
  EXPECT_THAT(List({{"x"}, "-", false}, "one\n\ntwo words\n" + In("disc/2")).files,
              ElementsAre("x", "one", "two words", In("disc/2/d.opus")));
  EXPECT_THAT(List({{}, "-", true}, std::string("with\nbreak\0next\0", 16)).files, ElementsAre("with\nbreak", "next"));
}

TEST_F(FileListTest, FailsWhereTheListCannotBeRead) {
  const Outcome<FileList> list = ListFiles({{}, In("no-list"), false}, -1);
  EXPECT_EQ(std::get<Failure>(list).code, "NOT_FOUND");
}

}  // namespace
}  // namespace culturetag::client
