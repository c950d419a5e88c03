#include "client/text_layout.h"

#include <gtest/gtest.h>

namespace culturetag::client {
namespace {

TEST(PrintableTest, KeepsLettersOfAnyScript) { EXPECT_EQ(Printable("Hüseynî कल्याण 京劇"), "Hüseynî कल्याण 京劇"); }

TEST(PrintableTest, ReplacesControlCharactersSoThatNothingSteersTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[31mb\nc\td\x7f"), "a\uFFFD[31mb\uFFFDc\uFFFDd\uFFFD");
}

TEST(PrintableTest, ReplacesEveryByteThatIsNotUtf8) {
  EXPECT_EQ(Printable("caf\xe9 \xc3"), "caf\uFFFD \uFFFD");
  EXPECT_EQ(Printable(absl::string_view("a\0b", 3)), "a\uFFFDb");
}

TEST(DisplayWidthTest, CountsColumnsRatherThanBytes) {
  EXPECT_EQ(DisplayWidth(""), 0);
  EXPECT_EQ(DisplayWidth("Hüseyni"), 7);
  EXPECT_EQ(DisplayWidth("Hu\u0308seyni"), 7);  // a combining diaeresis
  EXPECT_EQ(DisplayWidth("京劇"), 4);
}

TEST(WrapTest, BreaksAtSpacesAndIndentsEveryLine) {
  EXPECT_EQ(Wrap("one two three four", 2, 10), "  one two\n  three\n  four\n");
}

TEST(WrapTest, GivesALongWordItsOwnLine) {
  EXPECT_EQ(Wrap("a incomprehensible b", 1, 6), " a\n incomprehensible\n b\n");
}

TEST(WrapTest, MakesNothingOfNothing) { EXPECT_EQ(Wrap("", 2, 10), ""); }

TEST(TextTableTest, AlignsColumnsByDisplayWidthWithoutTrailingSpaces) {
  TextTable table({{}, {/*right_aligned=*/true, {}}, {}});
  table.AddRow({"Hüseyni", "9", "x"});
  table.AddRow({"京", "10"});
  table.AddRow({"", "", "y"});
  table.AddLine("a line of its own");
  EXPECT_EQ(table.Render(1),
            " Hüseyni   9  x\n"
            " 京       10\n"
            "              y\n"
            "a line of its own\n");
}

TEST(TextTableTest, StylesCellsWithoutMovingThem) {
  TextTable table({{false, kBold}, {}});
  table.AddRow({"a", "b"});
  table.AddRow({"long", "c"});
  EXPECT_EQ(table.Render(0), "\x1b[1ma\x1b[0m     b\n\x1b[1mlong\x1b[0m  c\n");
}

}  // namespace
}  // namespace culturetag::client
