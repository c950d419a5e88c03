#include "base/status_macros.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace culturetag {
namespace {

absl::Status ReturnIfError(const absl::Status& status, bool& went_on) {
  CULTURETAG_RETURN_IF_ERROR(status);
  went_on = true;
  return absl::OkStatus();
}

TEST(ReturnIfErrorTest, ReturnsTheErrorAtOnce) {
  bool went_on = false;
  EXPECT_EQ(ReturnIfError(absl::NotFoundError("gone"), went_on), absl::NotFoundError("gone"));
  EXPECT_FALSE(went_on);
}

TEST(ReturnIfErrorTest, GoesOnIfThereIsNone) {
  bool went_on = false;
  EXPECT_EQ(ReturnIfError(absl::OkStatus(), went_on), absl::OkStatus());
  EXPECT_TRUE(went_on);
}

absl::StatusOr<int> Sum(absl::StatusOr<int> a, absl::StatusOr<int> b) {
  CULTURETAG_ASSIGN_OR_RETURN(const int first, a);
  int second = 0;
  CULTURETAG_ASSIGN_OR_RETURN(second, b);
  return first + second;
}

TEST(AssignOrReturnTest, AssignsToADeclarationAndToAVariable) {
  const absl::StatusOr<int> sum = Sum(2, 3);
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, 5);
}

TEST(AssignOrReturnTest, ReturnsTheErrorOfEither) {
  EXPECT_EQ(Sum(absl::AbortedError("a"), 3).status(), absl::AbortedError("a"));
  EXPECT_EQ(Sum(2, absl::AbortedError("b")).status(), absl::AbortedError("b"));
}

absl::StatusOr<std::unique_ptr<int>> PassOn(absl::StatusOr<std::unique_ptr<int>> value) {
  CULTURETAG_ASSIGN_OR_RETURN(std::unique_ptr<int> moved, std::move(value));
  return moved;
}

TEST(AssignOrReturnTest, MovesWhatCannotBeCopied) {
  const absl::StatusOr<std::unique_ptr<int>> value = PassOn(std::make_unique<int>(7));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(**value, 7);
}

absl::Status InABranch(bool branch, int& calls) {
  const auto count = [&calls] { return ++calls, absl::OkStatus(); };
  if (branch)
    CULTURETAG_RETURN_IF_ERROR(count());
  else
    return absl::AbortedError("the other branch");
  return absl::OkStatus();
}

TEST(ReturnIfErrorTest, IsOneStatementAndEvaluatesItsArgumentOnce) {
  int calls = 0;
  EXPECT_EQ(InABranch(true, calls), absl::OkStatus());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(InABranch(false, calls), absl::AbortedError("the other branch"));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace culturetag
