#include "service/authenticator.h"

#include "base/error_details.h"
#include "fakes/fake_clock.h"
#include "fakes/temporary_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kToken[] = "h1yOZ4vLkq3rR0p2WZ8s6TqD";

class AuthenticatorTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Authenticator>> Create(const std::string& text) {
    return Authenticator::Create(folder_.Write("tokens", text), clock_);
  }
  // The one client of a file.
  std::shared_ptr<ClientQuota> Client(const std::string& limits) {
    const auto authenticator = Create(std::string("web ") + kToken + " " + limits + "\n");
    EXPECT_TRUE(authenticator.ok()) << authenticator.status();
    return *(*authenticator)->Authenticate(std::string("Bearer ") + kToken);
  }

  TemporaryFolder folder_;
  FakeClock clock_;
};

TEST_F(AuthenticatorTest, KnowsAClientByItsToken) {
  const auto authenticator = Create("# who may call\n\nweb  aaaaaaaaaaaaaaaaaaaa # the site\ningest\tbbbbbbbbbbbbbbbbbbbb weight=2\n");
  ASSERT_TRUE(authenticator.ok()) << authenticator.status();
  EXPECT_EQ((*(*authenticator)->Authenticate("Bearer aaaaaaaaaaaaaaaaaaaa"))->name(), "web");
  EXPECT_EQ((*(*authenticator)->Authenticate("bearer bbbbbbbbbbbbbbbbbbbb"))->name(), "ingest");
  EXPECT_EQ((*authenticator)->weights(), (std::map<std::string, double>{{"ingest", 2}}));
}

TEST_F(AuthenticatorTest, RefusesWhatIsNoTokenOfItsAndDoesntRepeatIt) {
  const auto authenticator = Create(std::string("web ") + kToken + "\n");
  ASSERT_TRUE(authenticator.ok());
  const std::string token = kToken;
  for (const absl::optional<absl::string_view> wrong : std::initializer_list<absl::optional<absl::string_view>>{
           absl::nullopt, "", "Bearer ", "Bearer wrong-wrong-wrong-wrong", token, "Basic h1yOZ4vLkq3rR0p2WZ8s6TqD"}) {
    const absl::Status status = (*authenticator)->Authenticate(wrong).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << wrong.value_or("nothing");
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("Bearer TOKEN"), Not(HasSubstr(token)), Not(HasSubstr("wrong"))));
  }
}

TEST_F(AuthenticatorTest, NamesTheLineThatIsWrong) {
  const auto error = [this](const std::string& line) {
    const absl::Status status = Create("# first\n" + line + "\n").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(kToken)));
    return std::string(status.message());
  };
  EXPECT_THAT(error("web"), HasSubstr("line 2: a line is NAME TOKEN"));
  EXPECT_THAT(error("web short"), HasSubstr("the token of web is shorter than 16"));
  EXPECT_THAT(error(std::string("web ") + kToken + " speed=3"), HasSubstr("'speed=3' is none of"));
  EXPECT_THAT(error(std::string("web ") + kToken + " streams=0"), HasSubstr("'streams=0'"));
  EXPECT_THAT(error(std::string("web ") + kToken + " requests_per_minute=0.5"), HasSubstr("at least 1"));
  EXPECT_THAT(error(std::string("web ") + kToken + "\nweb " + kToken), HasSubstr("two clients web"));
  EXPECT_THAT(error("# nobody"), HasSubstr("names no client"));
  EXPECT_EQ(Authenticator::Create("/no/such/file", clock_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(AuthenticatorTest, LimitsNothingUnlessItIsTold) {
  const auto client = Client("");
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(client->Begin(true).ok());
    client->Charge(absl::Hours(1));
  }
}

TEST_F(AuthenticatorTest, LimitsRequestsAMinute) {
  const auto client = Client("requests_per_minute=30");
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(client->Begin(false).ok());
  const absl::Status status = client->Begin(false);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryDelayOf(status), absl::Seconds(2));
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(client->Begin(false).ok());
  EXPECT_FALSE(client->Begin(false).ok());
  clock_.Advance(absl::Hours(1));  // no more than a minute's worth is saved up
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(client->Begin(false).ok());
  EXPECT_FALSE(client->Begin(false).ok());
}

TEST_F(AuthenticatorTest, HoldsTooMuchAudioAgainstLaterRequests) {
  const auto client = Client("audio_seconds_per_minute=60");
  EXPECT_TRUE(client->Begin(false).ok());
  client->Charge(absl::Seconds(90));
  const absl::Status status = client->Begin(false);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryDelayOf(status), absl::Seconds(30));
  clock_.Advance(absl::Seconds(31));
  EXPECT_TRUE(client->Begin(false).ok());
}

TEST_F(AuthenticatorTest, LimitsStreamsAtATime) {
  const auto client = Client("streams=1");
  EXPECT_TRUE(client->Begin(true).ok());
  EXPECT_EQ(client->Begin(true).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(client->Begin(false).ok());  // no stream
  client->EndStream();
  EXPECT_TRUE(client->Begin(true).ok());
}

}  // namespace
}  // namespace culturetag
