#include "observability/metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

TEST(MetricsTest, CountsRequestsByMethodAndCode) {
  Metrics metrics("1.0");
  metrics.RecordRequest("Tag", "OK", absl::Milliseconds(30));
  metrics.RecordRequest("Tag", "OK", absl::Milliseconds(30));
  metrics.RecordRequest("Tag", "INVALID_ARGUMENT", absl::Milliseconds(1));
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("culturetag_requests_total{code=\"OK\",method=\"Tag\"} 2"));
  EXPECT_THAT(text, HasSubstr("culturetag_requests_total{code=\"INVALID_ARGUMENT\",method=\"Tag\"} 1"));
  EXPECT_THAT(text, HasSubstr("culturetag_request_duration_seconds_count{method=\"Tag\"} 3"));
  EXPECT_THAT(text, HasSubstr("culturetag_request_duration_seconds_bucket{method=\"Tag\",le=\"0.02\"} 1"));
}

TEST(MetricsTest, SpeaksOfEveryStageReasonAndRefusalBeforeTheFirstEvent) {
  const std::string text = Metrics("1.0").Serialize();
  for (const char* line :
       {"culturetag_stage_duration_seconds_count{stage=\"decode\"} 0",
        "culturetag_stage_duration_seconds_count{stage=\"resample\"} 0",
        "culturetag_stage_duration_seconds_count{stage=\"queue\"} 0",
        "culturetag_stage_duration_seconds_count{stage=\"inference\"} 0",
        "culturetag_stage_duration_seconds_count{stage=\"aggregate\"} 0", "culturetag_batch_windows_count 0",
        "culturetag_batches_total{close_reason=\"full\"} 0", "culturetag_batches_total{close_reason=\"idle\"} 0",
        "culturetag_batches_total{close_reason=\"delay\"} 0", "culturetag_batches_total{close_reason=\"deadline\"} 0",
        "culturetag_batches_total{close_reason=\"drain\"} 0", "culturetag_windows_total 0",
        "culturetag_audio_seconds_total 0", "culturetag_pending_windows 0", "culturetag_pending_audio_seconds 0",
        "culturetag_oldest_pending_seconds 0", "culturetag_estimated_wait_seconds 0",
        "culturetag_rejected_total{reason=\"queue_full\"} 0", "culturetag_rejected_total{reason=\"deadline\"} 0",
        "culturetag_rejected_total{reason=\"draining\"} 0", "culturetag_rejected_total{reason=\"too_long\"} 0",
        "culturetag_rejected_total{reason=\"bad_audio\"} 0", "culturetag_rejected_total{reason=\"unauthenticated\"} 0",
        "culturetag_wasted_windows_total{reason=\"cancelled\"} 0", "culturetag_wasted_windows_total{reason=\"expired\"} 0",
        "culturetag_device_busy_seconds_total 0", "culturetag_build_info{version=\"1.0\"} 1"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, RecordsBatchesAndTheirWindows) {
  Metrics metrics("1.0");
  metrics.RecordBatch(4, BatchCloseReason::kDrain, absl::Milliseconds(500));
  metrics.RecordScored(4, absl::Seconds(20));
  metrics.RecordWasted(WasteReason::kExpired, 2);
  metrics.RecordRejected(RejectReason::kTooLong);
  metrics.RecordStage(Stage::kAggregate, absl::Milliseconds(1));
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("culturetag_batch_windows_bucket{le=\"3\"} 0"));
  EXPECT_THAT(text, HasSubstr("culturetag_batch_windows_bucket{le=\"4\"} 1"));
  EXPECT_THAT(text, HasSubstr("culturetag_batches_total{close_reason=\"drain\"} 1"));
  EXPECT_THAT(text, HasSubstr("culturetag_device_busy_seconds_total 0.5"));
  EXPECT_THAT(text, HasSubstr("culturetag_windows_total 4"));
  EXPECT_THAT(text, HasSubstr("culturetag_audio_seconds_total 20"));
  EXPECT_THAT(text, HasSubstr("culturetag_wasted_windows_total{reason=\"expired\"} 2"));
  EXPECT_THAT(text, HasSubstr("culturetag_rejected_total{reason=\"too_long\"} 1"));
  EXPECT_THAT(text, HasSubstr("culturetag_stage_duration_seconds_count{stage=\"aggregate\"} 1"));
}

TEST(MetricsTest, AsksTheQueueAtEveryScrape) {
  Metrics metrics("1.0");
  int windows = 0;
  metrics.SetQueueProbe([&windows] {
    ++windows;
    return QueueSnapshot{windows, absl::Seconds(5) * windows, absl::Seconds(2), absl::Seconds(9)};
  });
  EXPECT_THAT(metrics.Serialize(), HasSubstr("culturetag_pending_windows 1\n"));
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("culturetag_pending_windows 2\n"));
  EXPECT_THAT(text, HasSubstr("culturetag_pending_audio_seconds 10\n"));
  EXPECT_THAT(text, HasSubstr("culturetag_oldest_pending_seconds 2\n"));
  EXPECT_THAT(text, HasSubstr("culturetag_estimated_wait_seconds 9\n"));
  metrics.SetQueueProbe(nullptr);
  metrics.Serialize();
  EXPECT_EQ(windows, 2);
}

TEST(MetricsTest, NamesTheModelsThatAreLoaded) {
  Metrics metrics("1.0");
  metrics.RecordModel("demo", "2", "synthetic", "cpu", "fp32", absl::Seconds(3));
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("culturetag_model_info{backbone=\"synthetic\",device=\"cpu\",model=\"demo\",precision=\"fp32\","
                              "version=\"2\"} 1"));
  EXPECT_THAT(text, HasSubstr("culturetag_warmup_duration_seconds 3"));
}

TEST(MetricsTest, NamesTheVersionOfAModelThatIsServedAndCountsReloads) {
  Metrics metrics("1.0");
  metrics.RecordModel("demo", "1", "synthetic", "cpu", "fp32", absl::Seconds(3));
  const std::string series = "culturetag_model_info{backbone=\"synthetic\",device=\"cpu\",model=\"demo\",precision=\"fp32\",version=";
  EXPECT_THAT(metrics.Serialize(), HasSubstr("culturetag_bundle_reloads_total{model=\"demo\",result=\"failed\"} 0"));
  metrics.RecordReload("demo", false);
  metrics.RecordReload("demo", true);
  metrics.RecordModel("demo", "2", "synthetic", "cpu", "fp32", absl::Seconds(2));
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr(series + "\"2\"} 1"));
  EXPECT_THAT(text, testing::Not(HasSubstr(series + "\"1\"}")));
  EXPECT_THAT(text, HasSubstr("culturetag_warmup_duration_seconds 5"));
  for (const char* result : {"failed", "ok"}) {
    EXPECT_THAT(text, HasSubstr(std::string("culturetag_bundle_reloads_total{model=\"demo\",result=\"") + result + "\"} 1"));
  }
}

}  // namespace
}  // namespace culturetag
