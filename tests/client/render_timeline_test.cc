#include "client/render_timeline.h"

#include <string>

#include <gtest/gtest.h>

#include "client/parse_text.h"

namespace culturetag::client {
namespace {

v1::TagResponse Response() {
  return ParseText<v1::TagResponse>(R"pb(
    audio { duration { seconds: 75 } }
    heads {
      head: "fma"
      tags { label: "Folk" score: 0.5 }
      tags { label: "Rock" score: 0.25 }
      tags { label: "Jazz" score: 0.125 }
    }
    windows { heads { tags { label: "Folk" score: 1 } tags { label: "Rock" score: 0.5 } } }
    windows { heads { tags { label: "Rock" score: 0 } tags { label: "Folk" score: 0 } } })pb");
}

TEST(TimelineTextTest, HasARowForEachTagOfTheWholeAndACharacterForEachWindow) {
  EXPECT_EQ(TimelineText(Response(), 2, {}),
            "  over time: 0:00 to 1:15, 2 windows\n"
            "  fma\n"
            "    Folk  █   0.50\n"
            "    Rock  ▄   0.25\n");
}

TEST(TimelineTextTest, HasEveryTagOnRequest) {
  const std::string text = TimelineText(Response(), 0, {});
  EXPECT_NE(text.find("\n    Jazz      0.12\n"), std::string::npos) << text;
}

TEST(TimelineTextTest, ShowsTheHighestOfTheWindowsThatShareACharacter) {
  v1::TagResponse response = ParseText<v1::TagResponse>(R"pb(
    heads { head: "fma" tags { label: "Folk" score: 0.5 } })pb");
  for (int i = 0; i < 40; ++i) {
    v1::Tag& tag = *response.add_windows()->add_heads()->add_tags();
    tag.set_label("Folk");
    tag.set_score(i == 3 ? 1 : 0);  // shares the second of 20 characters
  }
  EXPECT_EQ(TimelineText(response, 1, {false, /*width=*/10}),
            "  over time: 0:00 to 0:00, 40 windows\n  fma\n    Folk   █                    0.50\n");
}

}  // namespace
}  // namespace culturetag::client
