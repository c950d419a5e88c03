#include "simulator/report.h"

#include <vector>

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/arrivals.h"

namespace culturetag::simulator {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr size_t kInteractive = static_cast<size_t>(Priority::kInteractive);

// Two replicas for 100 s, each of which can score 50 s of audio a second.
Setup TwoReplicas() {
  Setup setup;
  setup.curve = AffineCurve({}, absl::Milliseconds(100));
  setup.replicas = 2;
  setup.balancer = "round-robin";
  setup.duration = absl::Seconds(100);
  return setup;
}

Results SomeResults() {
  Results results;
  Results::Class& interactive = results.classes[kInteractive];
  interactive.requests[static_cast<size_t>(Outcome::kServed)] = 4;
  interactive.requests[static_cast<size_t>(Outcome::kQueueFull)] = 2;
  interactive.latencies = {4, 1, 3, 2};
  results.fairness[kInteractive] = {1.5, 2};
  results.windows_run = 30;
  results.windows_unwanted = 3;
  results.batches = 20;
  results.audio_scored = absl::Seconds(8000);
  results.audio_answered = absl::Seconds(5000);
  results.device_busy = absl::Seconds(180);
  return results;
}

TEST(PercentileTest, IsAValueThatOccurred) {
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_EQ(Percentile(values, 0.5), 2);
  EXPECT_EQ(Percentile(values, 0.51), 3);
  EXPECT_EQ(Percentile(values, 0.99), 4);
  EXPECT_EQ(Percentile({7.0}, 0.001), 7);
}

TEST(ReportTest, SetsResultsInRelationToTheCapacity) {
  const Summary summary = Summarize("x", TwoReplicas(), SomeResults());
  EXPECT_DOUBLE_EQ(summary.throughput, 80);
  EXPECT_DOUBLE_EQ(summary.throughput_share, 0.8);
  EXPECT_DOUBLE_EQ(summary.goodput_share, 0.5);
  EXPECT_DOUBLE_EQ(summary.device_busy_share, 0.9);
  EXPECT_DOUBLE_EQ(summary.windows_per_batch, 1.5);
  const auto& latency = *summary.classes[kInteractive].latency;
  EXPECT_DOUBLE_EQ(latency.mean, 2.5);
  EXPECT_DOUBLE_EQ(latency.p50, 2);
  EXPECT_DOUBLE_EQ(latency.max, 4);
  EXPECT_DOUBLE_EQ(*summary.classes[kInteractive].fairness, 0.75);
  EXPECT_FALSE(summary.classes[static_cast<size_t>(Priority::kBulk)].latency.has_value());
}

TEST(ReportTest, WritesJson) {
  const auto json = nlohmann::json::parse(ReportJson(TwoReplicas(), {Summarize("x", TwoReplicas(), SomeResults())}));
  EXPECT_EQ(json["capacity"], 50);
  EXPECT_EQ(json["results"][0]["goodput_share"], 0.5);
  EXPECT_EQ(json["results"][0]["interactive"]["requests"]["refused_queue_full"], 2);
  EXPECT_EQ(json["results"][0]["interactive"]["latency_seconds"]["p90"], 4);
  EXPECT_EQ(json["results"][0]["bulk"]["latency_seconds"], nullptr);
  EXPECT_EQ(json["results"][0]["bulk"]["fairness"], nullptr);
}

TEST(ReportTest, WritesTextWithoutEmptyClassesAndOutcomes) {
  const std::string text = ReportText(TwoReplicas(), {Summarize("x", TwoReplicas(), SomeResults())});
  EXPECT_THAT(text, HasSubstr("2 replicas (round-robin) of affine"));
  EXPECT_THAT(text, HasSubstr("answered in time, of the capacity                 50.0 %\n"));
  EXPECT_THAT(text, HasSubstr("  refused: the queue is full                           2\n"));
  EXPECT_THAT(text, HasSubstr("  latency p90                                    4000 ms\n"));
  EXPECT_THAT(text, Not(HasSubstr("bulk")));
  EXPECT_THAT(text, Not(HasSubstr("cancelled")));
}

}  // namespace
}  // namespace culturetag::simulator
