#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/deaf_port.h"
#include "client/fake_tagging_service.h"
#include "client/parse_text.h"
#include "client/run_culturetag.h"

namespace culturetag::client {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

TEST(ModelsCommandTest, PrintsTheModelsOfTheServer) {
  FakeTaggingService service({}, ParseText<v1::ListModelsResponse>(R"pb(
    models { name: "demo" version: "1" heads { name: "fma" labels { name: "Folk" category: "genre" } } })pb"));
  const Finished plain = RunCulturetag({"models", "--server", service.address()});
  EXPECT_EQ(plain.exit_code, 0);
  EXPECT_THAT(plain.out, StartsWith("demo 1 (default)\n"));
  EXPECT_THAT(plain.out, EndsWith("\n  fma               1          0\n"));
  EXPECT_THAT(RunCulturetag({"models", "--labels", "--server", service.address()}).out,
              EndsWith("\n  fma\n    genre: Folk\n"));
  EXPECT_THAT(RunCulturetag({"models", "--json", "--server", service.address()}).out,
              StartsWith(R"([{"name":"demo","version":"1",)"));
}

TEST(ModelsCommandTest, TakesAnswersAboveTheFourMegabytesOfGrpcsDefault) {
  v1::ListModelsResponse models;
  models.add_models()->set_description(std::string(5 << 20, 'd'));
  FakeTaggingService service({}, models);
  const Finished finished = RunCulturetag({"models", "--json", "--server", service.address()});
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(finished.exit_code, 0);
}

TEST(ModelsCommandTest, SaysThatNoServerAnswers) {
  const DeafPort port;
  const Finished finished = RunCulturetag({"models", "--server", port.address()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(finished.out, "");
  EXPECT_THAT(finished.err, StartsWith(absl::StrCat("culturetag: models: UNAVAILABLE: no server answers at ",
                                                    port.address(), "; is culturetag-server running there? (")));
}

}  // namespace
}  // namespace culturetag::client
