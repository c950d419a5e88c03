#include "labeling/aggregator.h"

#include <limits>

#include "base/error_details.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {

bool operator==(const ScoredLabel& a, const ScoredLabel& b) { return a.label == b.label && a.score == b.score; }
bool operator==(const HeadTags& a, const HeadTags& b) { return a.head == b.head && a.tags == b.tags; }
void PrintTo(const ScoredLabel& tag, std::ostream* os) { *os << tag.label << ": " << tag.score; }
void PrintTo(const HeadTags& tags, std::ostream* os) {
  *os << "head " << tags.head << " " << ::testing::PrintToString(tags.tags);
}

namespace {

using ::testing::ElementsAre;

// Two heads, of three labels and of two.
ModelSpec TwoHeads() {
  ModelSpec model;
  model.heads.resize(2);
  model.heads[0].name = "makam";
  model.heads[0].labels.resize(3);
  model.heads[1].name = "lyra";
  model.heads[1].labels.resize(2);
  return model;
}

TEST(WindowMeanTest, IsTheScoresOfASingleWindow) {
  WindowMean mean;
  mean.Add({0.25F, 0.5F});
  EXPECT_THAT(mean.Mean(), ElementsAre(0.25F, 0.5F));
}

TEST(WindowMeanTest, AveragesLabelByLabel) {
  WindowMean mean;
  mean.Add({0.0F, 1.0F});
  mean.Add({0.5F, 0.0F});
  mean.Add({1.0F, 0.5F});
  EXPECT_THAT(mean.Mean(), ElementsAre(0.5F, 0.5F));
}

TEST(WindowMeanTest, DoesNotDriftOverManyWindows) {
  WindowMean mean;
  for (int i = 0; i < 1000000; ++i) mean.Add({0.1F});
  EXPECT_THAT(mean.Mean(), ElementsAre(0.1F));  // a sum in float would be off by 1 %
}

TEST(ResolveHeadsTest, NamesNoneForAllInTheModelsOrder) {
  EXPECT_THAT(*ResolveHeads(TwoHeads(), {}), ElementsAre(0, 1));
}

TEST(ResolveHeadsTest, KeepsTheOrderOfTheNames) {
  EXPECT_THAT(*ResolveHeads(TwoHeads(), {"lyra", "makam"}), ElementsAre(1, 0));
}

TEST(ResolveHeadsTest, ListsTheHeadsThatExistIfOneDoesNot) {
  EXPECT_EQ(ResolveHeads(TwoHeads(), {"lyra", "raga"}).status(),
            absl::NotFoundError("the model has no head \"raga\"; it has makam, lyra"));
}

TEST(ResolveHeadsTest, RefusesANameGivenTwice) {
  const absl::Status status = ResolveHeads(TwoHeads(), {"lyra", "makam", "lyra"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "the head \"lyra\" is given twice");
  EXPECT_EQ(FieldOf(status), "heads");
}

TEST(SelectTagsTest, SortsEachHeadByDescendingScore) {
  const std::vector<float> scores = {0.1F, 0.9F, 0.5F, 0.2F, 0.3F};
  EXPECT_THAT(SelectTags(TwoHeads(), scores, {{0, 1}, 0, 0}),
              ElementsAre(HeadTags{0, {{1, 0.9F}, {2, 0.5F}, {0, 0.1F}}}, HeadTags{1, {{1, 0.3F}, {0, 0.2F}}}));
}

TEST(SelectTagsTest, AnswersInTheOrderOfTheSelectionAndLeavesOutOtherHeads) {
  const std::vector<float> scores = {0.1F, 0.9F, 0.5F, 0.2F, 0.3F};
  EXPECT_THAT(SelectTags(TwoHeads(), scores, {{1}, 0, 0}), ElementsAre(HeadTags{1, {{1, 0.3F}, {0, 0.2F}}}));
}

TEST(SelectTagsTest, KeepsTheBestOfEachHead) {
  const std::vector<float> scores = {0.1F, 0.9F, 0.5F, 0.2F, 0.3F};
  EXPECT_THAT(SelectTags(TwoHeads(), scores, {{0, 1}, 1, 0}),
              ElementsAre(HeadTags{0, {{1, 0.9F}}}, HeadTags{1, {{1, 0.3F}}}));
}

TEST(SelectTagsTest, TopKBeyondTheLabelsMeansAll) {
  const std::vector<float> scores = {0.1F, 0.9F, 0.5F, 0.2F, 0.3F};
  EXPECT_THAT(SelectTags(TwoHeads(), scores, {{1}, std::numeric_limits<int>::max(), 0}),
              ElementsAre(HeadTags{1, {{1, 0.3F}, {0, 0.2F}}}));
}

TEST(SelectTagsTest, KeepsEqualScoresInTheOrderOfTheLabels) {
  const std::vector<float> scores = {0.5F, 0.7F, 0.5F, 0.0F, 0.0F};
  EXPECT_THAT(SelectTags(TwoHeads(), scores, {{0, 1}, 2, 0}),
              ElementsAre(HeadTags{0, {{1, 0.7F}, {0, 0.5F}}}, HeadTags{1, {{0, 0.0F}, {1, 0.0F}}}));
}

TEST(SelectTagsTest, LeavesOutScoresBelowTheMinimumAndKeepsTheMinimum) {
  const std::vector<float> scores = {0.1F, 0.9F, 0.5F, 0.2F, 0.3F};
  EXPECT_THAT(SelectTags(TwoHeads(), scores, {{0, 1}, 0, 0.5F}),
              ElementsAre(HeadTags{0, {{1, 0.9F}, {2, 0.5F}}}, HeadTags{1, {}}));
}

TEST(SelectTagsTest, LeavesOutScoresThatAreNoNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(SelectTags(TwoHeads(), {nan, 0.9F, nan, nan, nan}, {{0, 1}, 0, 0}),
              ElementsAre(HeadTags{0, {{1, 0.9F}}}, HeadTags{1, {}}));
}

}  // namespace
}  // namespace culturetag
