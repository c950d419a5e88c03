#include "client/render_html.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/parse_text.h"

namespace culturetag::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TagsHtmlTest, CarriesTagsAndAudio) {
  const auto response =
      ParseText<v1::TagResponse>(R"pb(heads { head: "makam" tags { label: "Hüseyni" score: 0.5 } })pb");
  const std::string page = TagsHtml("a.wav", "bytes", response, 3);
  EXPECT_THAT(page, HasSubstr("const audio = 'Ynl0ZXM=';"));
  EXPECT_THAT(page, HasSubstr("const tagCount = 3;"));
  EXPECT_THAT(page, HasSubstr(R"({"label":"Hüseyni","category":"","score":0.5})"));
}

TEST(TagsHtmlTest, NeedsNothingElse) {
  EXPECT_THAT(TagsHtml("a.wav", "", {}, 3), Not(HasSubstr("http")));
}

TEST(TagsHtmlTest, DoesNotLetANameEndTheScript) {
  EXPECT_THAT(TagsHtml("</script><script>alert(1)", "", {}, 3),
              HasSubstr(R"js("file":"\u003c/script>\u003cscript>alert(1)")js"));
}

}  // namespace
}  // namespace culturetag::client
