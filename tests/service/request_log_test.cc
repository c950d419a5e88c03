#include "service/request_log.h"

#include <memory>
#include <vector>

#include "absl/strings/str_split.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class RequestLogTest : public testing::Test {
 protected:
  // The lines that `records` give.
  static std::vector<std::string> Written(RequestLog& log, const std::vector<RequestRecord>& records) {
    CaptureStderr();
    for (const RequestRecord& record : records) log.Write(record);
    return absl::StrSplit(GetCapturedStderr(), '\n', absl::SkipEmpty());
  }

  static RequestRecord Refused() {
    RequestRecord record;
    record.method = "Tag";
    record.code = "UNAUTHENTICATED";
    record.error = "no token";
    return record;
  }

  FakeClock clock_;
};

TEST_F(RequestLogTest, SaysWhoseCallItWasAndWhereItsTimeWent) {
  CallResult result;
  result.model = std::make_shared<const ModelSpec>(FakeSpec());
  result.window_count = 3;
  result.timing = {absl::Milliseconds(1.5), absl::Milliseconds(20), absl::Milliseconds(300), absl::Milliseconds(322)};
  RequestRecord record{"Tag", "OK", "", "web", "r-17", "00-0af7-b7ad-01", absl::Milliseconds(322.25), &result};
  RequestLog log(true, clock_);
  EXPECT_THAT(Written(log, {record}),
              ElementsAre(EndsWith("info request method=Tag code=OK ms=322.2 client=web request_id=r-17 traceparent=00-0af7-b7ad-01 "
                                   "model=fake version=1.2.3 windows=3 decode_ms=1.5 queue_ms=20.0 inference_ms=300.0 error=\"\" "
                                   "suppressed=0")));
}

TEST_F(RequestLogTest, AFloodOfRefusedCallsDoesNotFillTheLogAndIsCounted) {
  RequestLog log(true, clock_);
  const int flood = 10 * RequestLog::kUnscoredLinesPerSecond;
  EXPECT_THAT(Written(log, std::vector<RequestRecord>(flood, Refused())), SizeIs(RequestLog::kUnscoredLinesPerSecond));
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Written(log, {Refused(), Refused()}),
              ElementsAre(HasSubstr("error=\"no token\" suppressed=900"), HasSubstr("error=\"no token\" suppressed=0")));
}

TEST_F(RequestLogTest, AFloodDoesNotHideTheCallsThatAreScored) {
  RequestLog log(true, clock_);
  Written(log, std::vector<RequestRecord>(1000, Refused()));
  CallResult result;
  RequestRecord scored = Refused();
  scored.result = &result;
  EXPECT_THAT(Written(log, {scored, scored}), SizeIs(2));
}

TEST_F(RequestLogTest, AFailureOfTheServerIsAnError) {
  RequestLog log(true, clock_);
  RequestRecord record = Refused();
  record.code = "INTERNAL";
  EXPECT_THAT(Written(log, {record}), ElementsAre(HasSubstr(" error request method=Tag code=INTERNAL ")));
}

TEST_F(RequestLogTest, MayBeOff) {
  RequestLog log(false, clock_);
  EXPECT_THAT(Written(log, {Refused()}), IsEmpty());
}

}  // namespace
}  // namespace culturetag
