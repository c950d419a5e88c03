#include "client/render_csv.h"

#include <string>

#include <gtest/gtest.h>

#include "client/parse_text.h"

namespace culturetag::client {
namespace {

TEST(TagsCsvTest, HasARowForEachTagOfTheWholeAndOfItsWindows) {
  const auto response = ParseText<v1::TagResponse>(R"pb(
    heads {
      head: "makam"
      tags { label: "Hüseyni" category: "makam" score: 0.87 }
      tags { label: "a \"b\", c" category: "usul" score: 0.5 }
    }
    windows {
      start_offset { seconds: 7 nanos: 300000000 }
      heads { head: "makam" tags { label: "Oud" category: "instrument" score: 1 } }
    })pb");
  EXPECT_EQ(TagsCsv("x.mp3", response),
            "x.mp3,,makam,makam,Hüseyni,0.87\n"
            "x.mp3,,makam,usul,\"a \"\"b\"\", c\",0.5\n"
            "x.mp3,7.300,makam,instrument,Oud,1\n");
}

TEST(TagsCsvTest, HasARowForAFileWithoutTags) { EXPECT_EQ(TagsCsv("x.mp3", {}), "x.mp3,,,,,\n"); }

TEST(TagsCsvTest, KeepsALineBreakInANameFromEndingTheRow) {
  EXPECT_EQ(TagsCsv("a\nb", {}), "\"a\uFFFDb\",,,,,\n");
}

TEST(FileOfCsvTest, ReadsBackWhateverWasWritten) {
  for (const std::string file : {"x.mp3", "a,b", "\"", "say \"hi\".wav", "ends with \"", ""}) {
    EXPECT_EQ(FileOfCsv(TagsCsv(file, {})), file);
  }
}

}  // namespace
}  // namespace culturetag::client
