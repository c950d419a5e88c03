#include "client/result_file.h"

#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "client/audio_file.h"
#include "client/render_csv.h"
#include "client/render_json.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

class ResultFileTest : public testing::Test {
 protected:
  std::unique_ptr<ResultFile> Open(const std::string& path, OutputFormat format = OutputFormat::kJsonLines) {
    Outcome<std::unique_ptr<ResultFile>> file = ResultFile::Open(path, format);
    return std::holds_alternative<Failure>(file) ? nullptr : std::get<std::unique_ptr<ResultFile>>(std::move(file));
  }

  std::string Error(const std::string& path, OutputFormat format = OutputFormat::kJsonLines) {
    const Outcome<std::unique_ptr<ResultFile>> file = ResultFile::Open(path, format);
    const auto* const failure = std::get_if<Failure>(&file);
    return failure == nullptr ? "(worked)" : failure->code + ": " + failure->message;
  }

  std::string Bytes(const std::string& path) { return std::get<std::string>(ReadAudioFile(path, -1)); }

  // A line of the file, with its end.
  static std::string Line(const std::string& file) { return TagsJson(file, {}) + "\n"; }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/results";
};

TEST_F(ResultFileTest, KnowsOnTheNextRunWhatThisOneAppended) {
  Open(path_)->Append("caf\xe9.wav", {});
  const auto file = Open(path_);
  EXPECT_TRUE(file->Has("caf\xe9.wav"));
  EXPECT_FALSE(file->Has("other.wav"));
  EXPECT_FALSE(file->Append("other.wav", {}).has_value());
  EXPECT_EQ(Bytes(path_), Line("caf\xe9.wav") + Line("other.wav"));
}

TEST_F(ResultFileTest, CutsOffALineThatAKilledRunLeftHalfWritten) {
  folder_.Write("results", Line("a") + Line("b").substr(0, 20));
  const auto file = Open(path_);
  EXPECT_TRUE(file->Has("a"));
  EXPECT_FALSE(file->Has("b"));
  EXPECT_EQ(Bytes(path_), Line("a"));
}

TEST_F(ResultFileTest, CutsOffTheLastFileOfACsvBecauseRowsMayBeMissing) {
  const std::string a = "a,,fma,genre,Folk,0.5\na,,fma,genre,Rock,0.25\n";
  folder_.Write("results", kCsvHeader + a + "b,,fma,genre,Folk,0.5\nb,,fma,ge");
  const auto file = Open(path_, OutputFormat::kCsv);
  EXPECT_TRUE(file->Has("a"));
  EXPECT_FALSE(file->Has("b"));
  EXPECT_EQ(Bytes(path_), kCsvHeader + a);
}

TEST_F(ResultFileTest, BeginsACsvWithItsHeaderAlsoWhereAKilledRunGotNoFurther) {
  Open(path_, OutputFormat::kCsv);
  EXPECT_EQ(Bytes(path_), kCsvHeader);
  folder_.Write("results", "file,win");
  Open(path_, OutputFormat::kCsv);
  EXPECT_EQ(Bytes(path_), kCsvHeader);
  folder_.Write("results", std::string(kCsvHeader) + "a,,,,,\n");
  Open(path_, OutputFormat::kCsv);
  EXPECT_EQ(Bytes(path_), kCsvHeader);
}

TEST_F(ResultFileTest, LeavesAFileAloneThatHoldsSomethingElse) {
  folder_.Write("results", Line("a") + "dear diary\n");
  EXPECT_EQ(Error(path_), "FAILED_PRECONDITION: line 2 is no result");
  EXPECT_EQ(Error(path_, OutputFormat::kCsv), "FAILED_PRECONDITION: line 1 isn't the header of results");
  EXPECT_EQ(Bytes(path_), Line("a") + "dear diary\n");
}

TEST_F(ResultFileTest, RefusesAFileThatAnotherRunWritesTo) {
  const auto other_run = Open(path_);
  EXPECT_EQ(Error(path_), "FAILED_PRECONDITION: another run is writing to this file");
}

TEST_F(ResultFileTest, SaysThatItsFolderIsMissing) {
  EXPECT_EQ(Error(folder_.path() + "/no/results"),
            "NOT_FOUND: the file can't be opened: No such file or directory");
}

}  // namespace
}  // namespace culturetag::client
