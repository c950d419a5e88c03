#include "client/bench/bench_command.h"

#include <atomic>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "client/fake_tagging_service.h"
#include "client/parse_text.h"
#include "client/run_culturetag.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A server that stands still from the request number `stall_begin` until number `stall_end` has arrived.
class StallingService {
 public:
  StallingService(int stall_begin, int stall_end)
      : service_([this, stall_begin, stall_end](auto&, const auto&, auto&) {
          absl::MutexLock lock(&mutex_);
          const int number = arrived_++;
          const auto is_over = [this, stall_end] {
            mutex_.AssertHeld();
            return arrived_ > stall_end;
          };
          if (number >= stall_begin) mutex_.Await(absl::Condition(&is_over));
          return grpc::Status::OK;
        }) {}

  std::string address() const { return service_.address(); }

 private:
  absl::Mutex mutex_;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  FakeTaggingService service_;
};

// Request number k is due at k * 5 ms. Those from 50 on are answered when number 100 has come, at 500 ms or later: so
// their latencies are at least (100 - k) * 5 ms, the largest of 200 at least 250, 245, 240, ... ms. Nothing is sent
// late on account of the stall, or number 100 would never come.
TEST(BenchCommandTest, ShowsAStallInTheOpenLoopsPercentiles) {
  StallingService service(50, 100);
  const Finished finished = RunCulturetag({"bench", "--rate", "200", "--arrivals", "constant", "--length", "1s",
                                           "--clips", "500ms", "--json", "--server", service.address()});
  EXPECT_EQ(finished.err, "");
  const auto step = nlohmann::json::parse(finished.out)["steps"][0];
  EXPECT_EQ(step["sent"], 200);
  EXPECT_EQ(step["answered"], 200);
  const auto& percentiles = step["seconds"]["latency"]["percentiles"];
  EXPECT_GE(percentiles["90"].get<double>(), 0.150);  // 20 are larger
  EXPECT_GE(percentiles["99"].get<double>(), 0.240);  // 2 are larger
  EXPECT_GE(step["seconds"]["latency"]["max"].get<double>(), 0.250);
}

TEST(BenchCommandTest, KeepsAsManyRequestsUnderWayAsAClosedLoopHasCallers) {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  FakeTaggingService service([&](auto&, const auto&, auto&) {
    const int now = ++running;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    --running;
    return grpc::Status::OK;
  });
  const Finished finished = RunCulturetag(
      {"bench", "--concurrency", "3", "--length", "300ms", "--clips", "500ms", "--server", service.address()});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_THAT(finished.out, HasSubstr("\n  latency"));
  EXPECT_LE(most, 3);
}

TEST(BenchCommandTest, CountsRefusalsOnceAndMissesTheGoal) {
  std::atomic<int> arrived = 0;
  FakeTaggingService service([&](auto&, const auto&, auto&) {
    return ++arrived % 2 == 0 ? grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full") : grpc::Status::OK;
  });
  const Finished finished =
      RunCulturetag({"bench", "--rate", "100", "--arrivals", "constant", "--length", "100ms", "--clips", "500ms",
                     "--goal", "1h", "--json", "--server", service.address()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(arrived, 10);
  const auto step = nlohmann::json::parse(finished.out)["steps"][0];
  EXPECT_EQ(step["failures"], nlohmann::json({{"RESOURCE_EXHAUSTED", 5}}));
  EXPECT_EQ(step["answered"], 5);
  EXPECT_EQ(step["seconds"]["refusal"]["count"], 5);
  EXPECT_EQ(step["seconds"]["latency"]["count"], 5);
  EXPECT_EQ(step["keeps_goal"], false);
}

TEST(BenchCommandTest, TellsWhyRequestsFailed) {
  FakeTaggingService service([](auto&, const auto&, auto&) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "the model has no head \"x\"");
  });
  const Finished finished = RunCulturetag({"bench", "--rate", "100", "--arrivals", "constant", "--length", "20ms",
                                           "--clips", "500ms", "--server", service.address()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("\n2 ended with NOT_FOUND, the first: the model has no head \"x\"\n"));
}

TEST(BenchCommandTest, ReportsTheServersStagesAndEachClient) {
  absl::Mutex mutex;
  std::set<std::string> ids;
  FakeTaggingService service([&](auto& context, const auto& request, auto& response) {
    EXPECT_EQ(request.audio().pcm().samples().size(), 2u * 12000);
    const auto found = context.client_metadata().find("x-client-id");
    absl::MutexLock lock(&mutex);
    ids.emplace(found->second.data(), found->second.size());
    response = ParseText<v1::TagResponse>(R"pb(
      audio { duration { nanos: 500000000 } }
      timing { decode { nanos: 1000000 } queue { nanos: 2000000 } inference { seconds: 3 } total { seconds: 4 } })pb");
    return grpc::Status::OK;
  });
  const Finished finished = RunCulturetag({"bench", "--rate", "100", "--arrivals", "constant", "--length", "40ms",
                                           "--clips", "500ms", "--clients", "2", "--json", "--server",
                                           service.address()});
  EXPECT_EQ(finished.exit_code, 0);
  const auto step = nlohmann::json::parse(finished.out)["steps"][0];
  const auto& seconds = step["seconds"];
  EXPECT_EQ(seconds["decode"]["percentiles"]["50"], 0.001);
  EXPECT_EQ(seconds["queue"]["mean"], 0.002);
  EXPECT_EQ(seconds["inference"]["max"], 3);
  EXPECT_EQ(seconds["server_total"]["count"], 4);
  EXPECT_EQ(step["latency_seconds_by_client"]["bench-1"]["count"], 2);
  EXPECT_THAT(ids, ElementsAre("bench-1", "bench-2"));
}

TEST(BenchCommandTest, FollowsATrace) {
  std::atomic<int> arrived = 0;
  FakeTaggingService service([&](auto&, const auto&, auto&) {
    ++arrived;
    return grpc::Status::OK;
  });
  const TemporaryFolder folder;
  const std::string trace = folder.Write("trace", "0 0.5 radio\n0.02 1 web\n0.03 0.5 radio\n");
  const Finished finished = RunCulturetag({"bench", "--trace", trace, "--json", "--server", service.address()});
  EXPECT_EQ(arrived, 3);
  const auto step = nlohmann::json::parse(finished.out)["steps"][0];
  EXPECT_EQ(step["latency_seconds_by_client"]["radio"]["count"], 2);
  EXPECT_EQ(step["latency_seconds_by_client"]["web"]["count"], 1);

  const std::string broken = folder.Write("broken", "now\n");
  EXPECT_EQ(RunCulturetag({"bench", "--trace", broken}).err,
            absl::StrCat("culturetag: ", broken, ": INVALID_ARGUMENT: line 1 of the trace isn't ",
                         "`SECONDS_SINCE_START CLIP_SECONDS [CLIENT]`\n"));
}

TEST(BenchCommandTest, SaysWhereNoRateKeepsTheGoal) {
  FakeTaggingService service([&](auto&, const auto&, auto&) { return grpc::Status::OK; });
  const Finished finished =
      RunCulturetag({"bench", "--rate", "20", "--arrivals", "constant", "--search", "--goal", "1us", "--length", "50ms",
                     "--clips", "500ms", "--server", service.address()});
  EXPECT_EQ(finished.exit_code, 1);  // nobody answers in a microsecond
  EXPECT_THAT(finished.out, HasSubstr("missed\nhighest rate that keeps the goal: 0/s\n"));
}

}  // namespace
}  // namespace culturetag::client
