#include "simulator/device_curve.h"

#include <string>

#include "fakes/temporary_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/arrivals.h"

namespace culturetag::simulator {
namespace {

using testing::HasSubstr;

DeviceCurve Measured() {
  DeviceCurve curve;
  curve.fixed = absl::Milliseconds(10);
  curve.points = {{1, absl::Milliseconds(80)}, {4, absl::Milliseconds(50)}};
  return curve;
}

TEST(DeviceCurveTest, AddsAFixedTimeToEachPass) {
  EXPECT_EQ(Measured().Pass(1, kWindowSamples), absl::Milliseconds(90));
  EXPECT_EQ(Measured().Pass(4, kWindowSamples), absl::Milliseconds(210));
}

TEST(DeviceCurveTest, IsLinearBetweenItsPointsAndFlatBeyondThem) {
  EXPECT_EQ(Measured().Pass(2, kWindowSamples), absl::Milliseconds(10 + 2 * 70));
  EXPECT_EQ(Measured().Pass(8, kWindowSamples), absl::Milliseconds(10 + 8 * 50));
}

TEST(DeviceCurveTest, TakesShortWindowsForPartsOfFullOnes) {
  EXPECT_EQ(Measured().Pass(1, kWindowSamples / 2), absl::Milliseconds(10 + 40));
  EXPECT_EQ(Measured().Pass(8, kWindowSamples / 2), Measured().Pass(4, kWindowSamples));
}

TEST(DeviceCurveTest, ReadsAFile) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("curve.json", R"({"source": "a test", "fixed_ms": 10, "window_ms": {"4": 50, "1": 80}})");
  const absl::StatusOr<DeviceCurve> curve = FindCurve(file);
  ASSERT_TRUE(curve.ok()) << curve.status();
  EXPECT_EQ(curve->source, "a test");
  EXPECT_EQ(curve->Pass(2, kWindowSamples), Measured().Pass(2, kWindowSamples));
}

TEST(DeviceCurveTest, SaysWhatIsWrongWithAFile) {
  for (const char* text : {"", "{}", R"({"window_ms": {}})", R"({"window_ms": {"0": 1}})", R"({"window_ms": {"one": 1}})",
                           R"({"window_ms": {"1": -1}})", R"({"window_ms": {"1": 0}})", R"({"window_ms": {"1": "x"}})",
                           R"({"fixed_ms": -1, "window_ms": {"1": 9}})"}) {
    const TemporaryFolder folder;
    const std::string file = folder.Write("curve.json", text);
    EXPECT_EQ(FindCurve(file).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(DeviceCurveTest, NamesThePresetsToWhomItKnowsNothingOf) {
  const absl::Status status = FindCurve("cpu-demi").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("cpu-demo, cpu-95m, gpu-assumed"));
}

TEST(DeviceCurveTest, GetsTheBatchesThatTheServersWarmUpChooses) {
  EXPECT_EQ(WarmUpOn(*FindCurve("cpu-demo"), 0).max_batch_windows, 2);
  EXPECT_EQ(WarmUpOn(*FindCurve("cpu-95m"), 0).max_batch_windows, 1);
  EXPECT_EQ(WarmUpOn(*FindCurve("gpu-assumed"), 0).max_batch_windows, 64);
  EXPECT_EQ(WarmUpOn(*FindCurve("cpu-95m"), 3).max_batch_windows, 3);
}

}  // namespace
}  // namespace culturetag::simulator
