#include "client/embed_command.h"

#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/audio_file.h"
#include "client/fake_tagging_service.h"
#include "client/npy.h"
#include "client/parse_text.h"
#include "client/run_culturetag.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

class EmbedCommandTest : public testing::Test {
 protected:
  EmbedCommandTest() : service_({}) {
    service_.on_embed = [](const v1::EmbedRequest& request, v1::EmbedResponse& response) {
      if (request.audio().encoded() == "noise") return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no format");
      response = ParseText<v1::EmbedResponse>(R"pb(
        layer_count: 1 hidden_size: 2 values: 1 values: 2
        windows { values: 0 values: 1 } windows { values: 2 values: 3 })pb");
      return grpc::Status::OK;
    };
  }

  std::string Bytes(const std::string& file) { return std::get<std::string>(ReadAudioFile(file, -1)); }

  TemporaryFolder folder_;
  FakeTaggingService service_;
};

TEST_F(EmbedCommandTest, WritesTheTracksStatesOrThoseOfEachWindow) {
  const std::string file = folder_.Write("a.wav", "music");
  const std::string output = folder_.path() + "/a.npy";
  EXPECT_EQ(RunCulturetag({"embed", "--server", service_.address(), file, "-o", output}).err, "");
  EXPECT_EQ(Bytes(output), NpyFile({1, 2}, {1, 2}));
  EXPECT_EQ(RunCulturetag({"embed", "--server", service_.address(), "--windows", file, "-o", output}).exit_code, 0);
  EXPECT_EQ(Bytes(output), NpyFile({2, 1, 2}, {0, 1, 2, 3}));
}

TEST_F(EmbedCommandTest, WritesAFileForEachFileIntoAFolderThatItMakes) {
  const std::string good = folder_.Write("good.wav", "music");
  const std::string bad = folder_.Write("bad.wav", "noise");
  const std::string output = folder_.path() + "/made/embeddings";
  const Finished finished =
      RunCulturetag({"embed", "--server", service_.address(), bad, good, good, "-", "--out", output}, "music");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(finished.err, absl::StrCat("culturetag: ", bad, ": INVALID_ARGUMENT: no format\nculturetag: ", good,
                                       ": ALREADY_EXISTS: ", output, "/good.npy already holds the array of ", good,
                                       "\n"));
  EXPECT_EQ(Bytes(output + "/good.npy"), NpyFile({1, 2}, {1, 2}));
  EXPECT_EQ(Bytes(output + "/stdin.npy"), NpyFile({1, 2}, {1, 2}));
  EXPECT_FALSE(std::filesystem::exists(output + "/bad.npy"));
}

TEST_F(EmbedCommandTest, SaysThatItCannotWriteAndLeavesNothingHalf) {
  const std::string file = folder_.Write("a.wav", "music");
  const std::string output = folder_.path() + "/no/a.npy";
  EXPECT_EQ(RunCulturetag({"embed", "--server", service_.address(), file, "-o", output}).err,
            absl::StrCat("culturetag: ", file, ": NOT_FOUND: ", output,
                         " can't be written: No such file or directory\n"));
}

TEST_F(EmbedCommandTest, RefusesAnAnswerOfAnotherShapeThanItSays) {
  service_.on_embed = [](const v1::EmbedRequest&, v1::EmbedResponse& response) {
    response = ParseText<v1::EmbedResponse>("layer_count: 2 hidden_size: 2 values: 1 values: 2");
    return grpc::Status::OK;
  };
  const std::string file = folder_.Write("a.wav", "music");
  EXPECT_EQ(RunCulturetag({"embed", "--server", service_.address(), file, "-o", folder_.path() + "/a.npy"}).err,
            absl::StrCat("culturetag: ", file, ": INTERNAL: the server's embedding has another shape than it says\n"));
}

}  // namespace
}  // namespace culturetag::client
