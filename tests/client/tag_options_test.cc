#include "client/tag_options.h"

#include <gtest/gtest.h>

#include "client/parse_text.h"

namespace culturetag::client {
namespace {

TEST(TagOptionsTest, AskForEveryTagOfEveryWindowWhereTimeIsDrawn) {
  TagOptions options;
  options.top_k = 3;
  options.min_score = 0.5;
  EXPECT_EQ(MakeTagRequest(options).ShortDebugString(), "top_k: 3 min_score: 0.5 priority: PRIORITY_INTERACTIVE");
  options.timeline = true;
  EXPECT_EQ(MakeTagRequest(options).ShortDebugString(), "include_windows: true priority: PRIORITY_INTERACTIVE");
  EXPECT_EQ(MakeStreamConfig(options).ShortDebugString(), "include_windows: true priority: PRIORITY_INTERACTIVE");
}

TEST(TagOptionsTest, PrintWhatTheServerWouldHaveReturned) {
  const auto response = ParseText<v1::TagResponse>(R"pb(
    heads { tags { label: "a" score: 0.9 } tags { label: "b" score: 0.6 } tags { label: "c" score: 0.4 } }
    windows { heads { tags { label: "a" score: 0.5 } tags { label: "b" score: 0.3 } } })pb");
  TagOptions options;
  options.html = "pages";
  options.min_score = 0.5;
  EXPECT_EQ(PrintedPart(options, response).ShortDebugString(),
            "heads { tags { label: \"a\" score: 0.9 } tags { label: \"b\" score: 0.6 } }");
  options.top_k = 1;
  options.include_windows = true;
  EXPECT_EQ(PrintedPart(options, response).ShortDebugString(),
            "heads { tags { label: \"a\" score: 0.9 } } windows { heads { tags { label: \"a\" score: 0.5 } } }");
}

}  // namespace
}  // namespace culturetag::client
