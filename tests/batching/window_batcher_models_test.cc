#include <functional>
#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "batching/window_batcher.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

// A batcher that serves one model while others come and go.
class WindowBatcherModelsTest : public testing::Test {
 protected:
  WindowBatcherModelsTest() { EXPECT_TRUE(batcher_.WaitUntilWarm().ok()); }
  ~WindowBatcherModelsTest() override { batcher_.Drain(absl::InfiniteFuture()); }

  static WindowBatcher::Options Options() {
    WindowBatcher::Options options;
    options.max_batch_windows = 2;
    return options;
  }
  static ScoringRequest Request(int slot) {
    ScoringRequest request;
    request.model = slot;
    request.window_samples = 100;
    request.expected_windows = 1;
    return request;
  }

  // Has one window of `value` scored by the model in `slot`; `scored` is called with its first score or the error.
  std::shared_ptr<WindowBatcher::Submission> Submit(int slot, float value, std::function<void(absl::StatusOr<float>)> scored) {
    RejectReason reject{};
    auto submission = batcher_.Open(Request(slot), [scored](absl::StatusOr<ScoredWindow> window) {
      scored(window.ok() ? absl::StatusOr<float>(window->output.scores[0]) : window.status());
    }, &reject);
    EXPECT_TRUE(submission.ok()) << submission.status();
    batcher_.Push(*submission, {FakeWindow(value)});
    batcher_.Close(*submission);
    return *submission;
  }
  absl::StatusOr<float> Score(int slot, float value) {
    absl::StatusOr<float> score;
    absl::Notification done;
    Submit(slot, value, [&](absl::StatusOr<float> result) {
      score = std::move(result);
      done.Notify();
    });
    done.WaitForNotification();
    return score;
  }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel present_{FakeSpec("present")};
  WindowBatcher batcher_{Options(), {{&present_}}, clock_, metrics_};
};

TEST_F(WindowBatcherModelsTest, ScoresWithAModelThatCameLater) {
  FakeModel newcomer(FakeSpec("newcomer"));
  const auto added = batcher_.AddModel({&newcomer});
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->slot, 1);
  EXPECT_EQ(added->warmup.max_batch_windows, 2);
  EXPECT_EQ(batcher_.max_batch_windows(1), 2);
  newcomer.ForgetPasses();
  EXPECT_EQ(*Score(1, 0.5F), 0.5F);
  EXPECT_EQ(newcomer.passes().size(), 1U);
  EXPECT_EQ(*Score(0, 0.25F), 0.25F);
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_max_batch_windows{model=\"newcomer\"} 2"));
  batcher_.RemoveModel(1);
}

TEST_F(WindowBatcherModelsTest, UsesTheSlotOfAModelThatHasGone) {
  for (int i = 0; i < 5; ++i) {
    FakeModel newcomer(FakeSpec("newcomer"));
    const auto added = batcher_.AddModel({&newcomer});
    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_EQ(added->slot, 1);
    EXPECT_TRUE(Score(1, 0.5F).ok());
    batcher_.RemoveModel(1);
  }
}

TEST_F(WindowBatcherModelsTest, LetsGoOfAModelThatCantBeWarmedUpAndServesTheOthers) {
  {
    FakeModel broken(FakeSpec("broken"));
    broken.FailWith([](size_t) { return absl::InternalError("broken"); });
    EXPECT_EQ(batcher_.AddModel({&broken}).status(), absl::InternalError("broken"));
  }
  EXPECT_TRUE(Score(0, 0.5F).ok());
  FakeModel newcomer(FakeSpec("newcomer"));
  EXPECT_EQ(batcher_.AddModel({&newcomer})->slot, 1);
  batcher_.RemoveModel(1);
}

TEST_F(WindowBatcherModelsTest, KeepsAModelWhileTheDeviceRunsWindowsOfItThatNobodyWaitsFor) {
  FakeModel leaving(FakeSpec("leaving"));
  ASSERT_TRUE(batcher_.AddModel({&leaving}).ok());
  leaving.ForgetPasses();
  leaving.Hold();
  absl::Notification ended;
  const auto submission = Submit(1, 0.5F, [&](absl::StatusOr<float>) { ended.Notify(); });
  leaving.WaitForPasses(1);
  batcher_.Cancel(submission, WasteReason::kCancelled, absl::CancelledError("gone"));
  ended.WaitForNotification();
  absl::Notification removed;
  std::thread removal([&] {
    batcher_.RemoveModel(1);
    removed.Notify();
  });
  EXPECT_FALSE(removed.HasBeenNotified());
  leaving.Release();
  removal.join();
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_wasted_windows_total{reason=\"cancelled\"} 1"));
  EXPECT_TRUE(Score(0, 0.5F).ok());
}

TEST_F(WindowBatcherModelsTest, GivesAWarmupUpWhenItIsStopped) {
  FakeModel newcomer(FakeSpec("newcomer"));
  newcomer.Hold();
  absl::Status status;
  std::thread adding([&] { status = batcher_.AddModel({&newcomer}).status(); });
  newcomer.WaitForPasses(1);
  batcher_.StopWarmup();
  newcomer.Release();
  adding.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Score(0, 0.5F).ok());
}

TEST_F(WindowBatcherModelsTest, WarmsAModelUpOnEveryExecutor) {
  FakeModel first(FakeSpec()), second(FakeSpec());
  WindowBatcher two(Options(), {{&first}, {&second}}, clock_, metrics_);
  ASSERT_TRUE(two.WaitUntilWarm().ok());
  FakeModel on_first(FakeSpec("newcomer")), on_second(FakeSpec("newcomer"));
  on_second.FailWith([](size_t windows) { return windows > 1 ? absl::InternalError("broken") : absl::OkStatus(); });
  EXPECT_EQ(two.AddModel({&on_first, &on_second}).status(), absl::InternalError("broken"));
  on_second.FailWith([](size_t) { return absl::OkStatus(); });
  on_second.ForgetPasses();
  ASSERT_TRUE(two.AddModel({&on_first, &on_second}).ok());
  EXPECT_FALSE(on_second.passes().empty());
  two.RemoveModel(1);
}

}  // namespace
}  // namespace culturetag
