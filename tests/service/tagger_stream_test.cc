// Streams through the tagger, on a fake clock.
#include <cstring>
#include <thread>

#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/tagger.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

constexpr int kRate = 4000;

ModelSpec StreamSpec() {
  ModelSpec spec = FakeSpec();
  spec.sample_rate_hz = kRate;  // no resampler that holds samples back
  spec.window_samples = spec.hop_samples = kRate;  // a second: no less than a block that is decoded in one go
  return spec;
}

std::string Windows(size_t count) {
  const std::vector<float> samples(count * kRate, 0.5F);
  return {reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(float)};
}

// Remembers what a stream said.
class Listener final : public StreamListener {
 public:
  void OnWantData() override {
    absl::MutexLock lock(&mutex_);
    ++wanted_;
  }
  void OnWindow(const ModelSpec&, WindowTags window) override {
    absl::MutexLock lock(&mutex_);
    windows_.push_back(std::move(window));
  }
  void OnEnd(absl::StatusOr<TagResult> result) override {
    absl::MutexLock lock(&mutex_);
    EXPECT_FALSE(end_.has_value());
    end_ = std::move(result);
  }

  void WaitForWanted(int count) {
    Wait([this, count] { return wanted_ >= count; });
  }
  void WaitForWindows(size_t count) {
    Wait([this, count] { return windows_.size() >= count; });
  }
  absl::StatusOr<TagResult> WaitForEnd() {
    Wait([this] { return end_.has_value(); });
    return *end_;
  }
  std::vector<WindowTags> windows() {
    absl::MutexLock lock(&mutex_);
    return windows_;
  }

 private:
  template <typename Condition>
  void Wait(const Condition& condition) {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&condition));
  }

  absl::Mutex mutex_;
  int wanted_ = 0;
  std::vector<WindowTags> windows_;
  absl::optional<absl::StatusOr<TagResult>> end_;
};

class TaggerStreamTest : public testing::Test {
 protected:
  TaggerStreamTest() {
    WindowBatcher::Options options;
    options.max_batch_windows = 2;
    batcher_ = std::make_unique<WindowBatcher>(options, std::vector<std::vector<TaggingModel*>>{{&model_}}, clock_, metrics_);
    EXPECT_TRUE(batcher_->WaitUntilWarm().ok());
    Tagger::Options tagger_options;
    tagger_options.stream_idle_timeout = absl::Seconds(10);
    tagger_options.max_stream_duration = absl::Seconds(50);
    tagger_ = std::make_unique<Tagger>(tagger_options, std::vector<const TaggingModel*>{&model_}, decoders_, *batcher_, clock_, metrics_);
  }
  ~TaggerStreamTest() override {
    model_.Release();
    tagger_->Drain(absl::InfiniteFuture());
  }

  std::shared_ptr<Tagger::Stream> Start() {
    StreamRequest request;
    request.pcm = PcmFormat{PcmEncoding::kF32Le, kRate, 1};
    return tagger_->TagStream(std::move(request), listener_);
  }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel model_{StreamSpec(), &clock_};
  WorkerPool decoders_{1, 1};
  std::unique_ptr<WindowBatcher> batcher_;
  std::unique_ptr<Tagger> tagger_;
  Listener listener_;
};

TEST_F(TaggerStreamTest, GivesWindowsInOrderAndThenTheWhole) {
  const auto stream = Start();
  stream->Write(Windows(2));
  listener_.WaitForWindows(2);
  listener_.WaitForWanted(1);
  stream->Write(Windows(1));
  stream->CloseWrites();
  listener_.WaitForWindows(3);
  for (int i = 0; i < 3; ++i) {
    stream->WindowSent();
    EXPECT_EQ(listener_.windows()[static_cast<size_t>(i)].start_offset, absl::Seconds(i));
  }
  const auto result = listener_.WaitForEnd();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->window_count, 3);
}

TEST_F(TaggerStreamTest, StopsWhenItsResultsArentTaken) {
  const auto stream = Start();
  stream->Write(Windows(20));
  listener_.WaitForWindows(8);  // four batches: as many as may be under way
  clock_.WaitForSleepers(1);
  EXPECT_EQ(listener_.windows().size(), 8U);
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
  stream->CloseWrites();
  for (size_t i = 1; i <= 20; ++i) {
    listener_.WaitForWindows(i);
    stream->WindowSent();
  }
  EXPECT_TRUE(listener_.WaitForEnd().ok());
}

TEST_F(TaggerStreamTest, EndsWhenItsResultsArentTakenForTooLong) {
  const auto stream = Start();
  stream->Write(Windows(20));
  listener_.WaitForWindows(8);
  clock_.WaitForSleepers(1);
  clock_.Advance(absl::Seconds(10));
  const absl::Status status = listener_.WaitForEnd().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("took no result for 10s"));
}

TEST_F(TaggerStreamTest, EndsWhenItsLastResultsArentTakenForTooLong) {
  const auto stream = Start();
  stream->Write(Windows(1));
  stream->CloseWrites();
  listener_.WaitForWindows(1);
  clock_.WaitForSleepers(1);
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(listener_.WaitForEnd().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(TaggerStreamTest, DoesntBlameTheClientForADeviceThatIsSlow) {
  model_.Hold();
  const auto stream = Start();
  stream->Write(Windows(1));
  stream->CloseWrites();
  model_.WaitForPasses(2);  // the warm-up's and this one
  clock_.WaitForSleepers(1);
  clock_.Advance(absl::Seconds(100));
  clock_.WaitForSleepers(1);
  model_.Release();
  listener_.WaitForWindows(1);
  stream->WindowSent();
  EXPECT_TRUE(listener_.WaitForEnd().ok());
}

TEST_F(TaggerStreamTest, EndsWhenNothingIsSentForTooLong) {
  const auto stream = Start();
  clock_.WaitForSleepers(1);
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(listener_.WaitForEnd().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(TaggerStreamTest, EndsAtOnceWhenItIsCancelled) {
  model_.Hold();
  const auto stream = Start();
  stream->Write(Windows(4));
  model_.WaitForPasses(2);
  stream->Cancel(WasteReason::kCancelled, absl::CancelledError("gone"));
  EXPECT_EQ(listener_.WaitForEnd().status(), absl::CancelledError("gone"));
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 0);
}

TEST_F(TaggerStreamTest, RefusesMoreAudioThanAStreamMayHave) {
  const auto stream = Start();
  stream->Write(Windows(51));
  stream->CloseWrites();
  for (size_t i = 1; i <= 42; ++i) {  // eight may be under way; the block that is too long holds the end of the 50th
    listener_.WaitForWindows(i);
    stream->WindowSent();
  }
  EXPECT_EQ(listener_.WaitForEnd().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_rejected_total{reason=\"too_long\"} 1"));
}

TEST_F(TaggerStreamTest, EndsADrainThatTimesOut) {
  const auto stream = Start();
  stream->Write(Windows(1));
  listener_.WaitForWindows(1);
  EXPECT_FALSE(tagger_->Drain(clock_.Now()));
  EXPECT_EQ(listener_.WaitForEnd().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace culturetag
