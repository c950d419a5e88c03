#include "service/status_convert.h"

#include "base/error_details.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

TEST(StatusConvertTest, KeepsCodeAndMessage) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  const grpc::Status status = ToGrpcStatus(absl::NotFoundError("no such model"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no such model");
  EXPECT_TRUE(status.error_details().empty());
}

TEST(StatusConvertTest, TurnsAFieldIntoABadRequest) {
  const grpc::Status status = ToGrpcStatus(InvalidField("audio.pcm.samples", "no whole frames"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const google::rpc::Status details = DetailsOf(status);
  EXPECT_EQ(details.code(), static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(details.details(0).UnpackTo(&bad_request));
  ASSERT_EQ(bad_request.field_violations_size(), 1);
  EXPECT_EQ(bad_request.field_violations(0).field(), "audio.pcm.samples");
  EXPECT_EQ(bad_request.field_violations(0).description(), "no whole frames");
}

TEST(StatusConvertTest, TurnsARetryDelayIntoRetryInfoAndPushback) {
  const absl::Status refused = RetryLater("full", absl::Milliseconds(2750));
  const google::rpc::Status details = DetailsOf(ToGrpcStatus(refused));
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(0).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
  EXPECT_EQ(retry.retry_delay().nanos(), 750000000);
  EXPECT_EQ(RetryPushback(refused), "2750");
  EXPECT_EQ(RetryPushback(RetryLater("full", absl::Nanoseconds(5))), "1");
  EXPECT_FALSE(RetryPushback(absl::ResourceExhaustedError("")).has_value());
}

TEST(StatusConvertTest, ShortensAMessageThatTrailersCouldntCarryWithoutCuttingACharacter) {
  std::string message = "x";
  for (int i = 0; i < 2000; ++i) message += "ş";
  const std::string shortened = ToGrpcStatus(absl::NotFoundError(message)).error_message();
  EXPECT_LE(shortened.size(), 1027U);
  EXPECT_EQ(shortened.substr(shortened.size() - 5), "ş...");
}

TEST(StatusConvertTest, NamesCodesAsGrpcDoes) {
  EXPECT_EQ(CodeName(grpc::StatusCode::OK), "OK");
  EXPECT_EQ(CodeName(grpc::StatusCode::RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(CodeName(grpc::StatusCode::UNAUTHENTICATED), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<grpc::StatusCode>(99)), "UNKNOWN");
}

}  // namespace
}  // namespace culturetag
