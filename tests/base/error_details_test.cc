#include "base/error_details.h"

#include "gtest/gtest.h"

namespace culturetag {
namespace {

TEST(InvalidFieldTest, CarriesCodeMessageAndField) {
  const absl::Status status = InvalidField("sample_rate_hz", "too low");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "too low");
  EXPECT_EQ(FieldOf(status), "sample_rate_hz");
}

TEST(FieldOfTest, IsEmptyWithoutAField) {
  EXPECT_EQ(FieldOf(absl::OkStatus()), absl::nullopt);
  EXPECT_EQ(FieldOf(absl::InvalidArgumentError("no field")), absl::nullopt);
}

TEST(WithFieldPrefixTest, PutsThePrefixBeforeTheField) {
  const absl::Status status = WithFieldPrefix(WithFieldPrefix(InvalidField("samples", "odd"), "pcm"), "audio");
  EXPECT_EQ(FieldOf(status), "audio.pcm.samples");
  EXPECT_EQ(status.message(), "odd");
}

TEST(WithFieldPrefixTest, BlamesThePrefixWhereNoFieldIsNamed) {
  EXPECT_EQ(FieldOf(WithFieldPrefix(absl::InvalidArgumentError("truncated"), "audio.encoded")), "audio.encoded");
}

TEST(WithFieldPrefixTest, LeavesOtherErrorsAlone) {
  EXPECT_EQ(WithFieldPrefix(absl::InternalError("broken"), "audio"), absl::InternalError("broken"));
  EXPECT_EQ(WithFieldPrefix(absl::OkStatus(), "audio"), absl::OkStatus());
}

TEST(RetryLaterTest, CarriesTheDelayToTheNanosecond) {
  const absl::Duration delay = absl::Seconds(2) + absl::Nanoseconds(7);
  const absl::Status status = RetryLater("queue full", delay);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "queue full");
  EXPECT_EQ(RetryDelayOf(status), delay);
}

TEST(RetryDelayOfTest, IsEmptyWithoutADelay) {
  EXPECT_EQ(RetryDelayOf(absl::ResourceExhaustedError("never")), absl::nullopt);
}

}  // namespace
}  // namespace culturetag
