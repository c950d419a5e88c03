#include "client/tagging_client.h"

#include <memory>

#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "client/fake_tagging_service.h"
#include "client/parse_text.h"
#include "google/rpc/error_details.pb.h"

namespace culturetag::client {
namespace {

TEST(FailureFromStatusTest, KeepsCodeAndMessage) {
  const Failure failure = FailureFromStatus(grpc::Status(grpc::StatusCode::NOT_FOUND, "no head `x`"));
  EXPECT_EQ(failure.code, "NOT_FOUND");
  EXPECT_EQ(failure.message, "no head `x`");
  EXPECT_EQ(failure.field, "");
  EXPECT_EQ(failure.retry_after, absl::nullopt);
  EXPECT_FALSE(failure.server_unreachable);
}

TEST(FailureFromStatusTest, FindsTheFirstFieldThatTheServerBlames) {
  const auto bad_request = ParseText<google::rpc::BadRequest>(
      R"pb(field_violations { field: "audio.encoded" } field_violations { field: "top_k" })pb");
  const Failure failure =
      FailureFromStatus(StatusWithDetails(grpc::StatusCode::INVALID_ARGUMENT, "not audio", {&bad_request}));
  EXPECT_EQ(failure.field, "audio.encoded");
}

TEST(FailureFromStatusTest, FindsTheRetryTimeAmongOtherDetails) {
  const auto other = ParseText<google::rpc::RequestInfo>(R"pb(request_id: "1")pb");
  const auto retry_info = ParseText<google::rpc::RetryInfo>("retry_delay { seconds: 2 nanos: 500000000 }");
  const Failure failure =
      FailureFromStatus(StatusWithDetails(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", {&other, &retry_info}));
  EXPECT_EQ(failure.retry_after, absl::Milliseconds(2500));
}

TEST(FailureFromStatusTest, PassesOverDetailsThatAreNoStatus) {
  const Failure failure = FailureFromStatus(grpc::Status(grpc::StatusCode::INTERNAL, "lost", "\xff\xff garbage"));
  EXPECT_EQ(failure.code, "INTERNAL");
  EXPECT_EQ(failure.message, "lost");
}

// Were a call the last owner of its channel, it would destroy it on a thread that the channel has to join, and gRPC
// would abort now and then.
TEST(TaggingClientTest, HasLetGoOfTheChannelWhenItReportsTheOutcome) {
  FakeTaggingService service([](auto&, const auto&, auto&) { return grpc::Status::OK; });
  const Channels channels = CreateChannels(service.address());
  const std::shared_ptr<grpc::Channel>& channel = channels.calls;
  TaggingClient client({}, channels);
  const long owners_before = channel.use_count();
  long owners_at_the_end = 0;
  absl::Notification finished;
  client.Tag(std::make_unique<v1::TagRequest>(), [&](const Outcome<v1::TagResponse>&) {
    owners_at_the_end = channel.use_count();
    finished.Notify();
  });
  finished.WaitForNotification();
  EXPECT_EQ(owners_at_the_end, owners_before);
}

}  // namespace
}  // namespace culturetag::client
