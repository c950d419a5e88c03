// How the batcher deals with devices: failures, health, several executors.
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "batching/window_batcher_fixture.h"
#include "gmock/gmock.h"

namespace culturetag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(WindowBatcherTest, RetriesAFailedBatchInHalves) {
  StartBusy();
  std::vector<Outcome> outcomes(4);
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Submit(MakeWork({static_cast<float>(i + 1)}), outcomes[i]).ok());
  model_.FailWith([](size_t windows) { return windows > 2 ? absl::ResourceExhaustedError("no memory") : absl::OkStatus(); });
  model_.Release();
  for (size_t i = 0; i < 4; ++i) {
    const auto& result = outcomes[i].Wait();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FLOAT_EQ(result->at(0).scores[0], static_cast<float>(i + 1));
  }
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(0), ElementsAre(1, 2, 3, 4), ElementsAre(1, 2), ElementsAre(3, 4)));
}

TEST_F(WindowBatcherTest, FailsOnlyTheHalfThatFailsAgainAndGoesOn) {
  StartBusy();
  std::vector<Outcome> outcomes(4);
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Submit(MakeWork({static_cast<float>(i + 1)}), outcomes[i]).ok());
  std::atomic<int> passes{0};
  // The blocker is the first pass from here on, the batch the second, its halves the third and the fourth.
  model_.FailWith([&passes](size_t) {
    const int pass = ++passes;
    return pass == 2 || pass == 3 ? absl::InternalError("lost") : absl::OkStatus();
  });
  model_.Release();
  EXPECT_EQ(outcomes[0].Wait().status(), absl::InternalError("lost"));
  EXPECT_EQ(outcomes[1].Wait().status(), absl::InternalError("lost"));
  EXPECT_TRUE(outcomes[2].Wait().ok());
  EXPECT_TRUE(outcomes[3].Wait().ok());
  Outcome later;
  ASSERT_TRUE(Submit(MakeWork({5}), later).ok());
  EXPECT_TRUE(later.Wait().ok());
}

TEST_F(WindowBatcherTest, SendsSmallerBatchesOnceTheDeviceHadNoMemoryForALargerOne) {
  StartBusy();
  Outcome first, second;
  ASSERT_TRUE(Submit(MakeWork({1, 1, 1, 1}), first).ok());
  model_.FailWith([](size_t windows) { return windows > 2 ? absl::ResourceExhaustedError("no memory") : absl::OkStatus(); });
  model_.Release();
  EXPECT_TRUE(first.Wait().ok());
  model_.ForgetPasses();
  ASSERT_TRUE(Submit(MakeWork({2, 2, 2, 2}), second).ok());
  EXPECT_TRUE(second.Wait().ok());
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(2, 2), ElementsAre(2, 2)));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_max_batch_windows{model=\"fake\"} 2"));
}

TEST_F(WindowBatcherTest, SaysThatTheDeviceIsSickAndProbesItUntilItIsWell) {
  absl::Mutex mutex;
  std::vector<bool> health;
  options_.on_device_health = [&](bool well) {
    absl::MutexLock lock(&mutex);
    health.push_back(well);
  };
  Start();
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  for (int i = 0; i < BatchRunner::kFailuresUntilSick; ++i) {
    Outcome outcome;
    ASSERT_TRUE(Submit(MakeWork({1}), outcome).ok());
    EXPECT_EQ(outcome.Wait().status(), absl::InternalError("lost"));
  }
  clock_.WaitForSleepers(1);
  model_.FailWith(nullptr);
  model_.ForgetPasses();
  clock_.Advance(WindowBatcher::kProbeInterval);
  model_.WaitForPasses(1);
  const auto well_again = [&health] { return health.size() == 2; };
  absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(&well_again));
  EXPECT_EQ(health, (std::vector<bool>{false, true}));
}

TEST_F(WindowBatcherTest, FailsOnlyTheRequestWhoseScoresAreNoNumbers) {
  StartBusy();
  Outcome bad, good;
  ASSERT_TRUE(Submit(MakeWork({std::nanf("")}), bad).ok());
  ASSERT_TRUE(Submit(MakeWork({1}), good).ok());
  model_.Release();
  EXPECT_EQ(bad.Wait().status().code(), absl::StatusCode::kInternal);
  const auto& result = good.Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FLOAT_EQ(result->at(0).scores[0], 1);
}

TEST_F(WindowBatcherTest, GivesTheOthersTheirScoresAfterAStall) {
  model_.SetCost(absl::ZeroDuration(), absl::Milliseconds(50));
  StartBusy();
  Outcome patient, hasty, later;
  Work work = MakeWork({1});
  ASSERT_TRUE(Submit(work, patient).ok());
  work.request.deadline = clock_.Now() + absl::Seconds(5);
  ASSERT_TRUE(Submit(work, hasty).ok());
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(hasty.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  model_.Release();
  EXPECT_FLOAT_EQ(blocker_.Wait()->at(0).scores[0], 0);
  EXPECT_FLOAT_EQ(patient.Wait()->at(0).scores[0], 1);
  // Nor is the device taken for a slow one from then on.
  work.request.deadline = clock_.Now() + absl::Milliseconds(100);
  ASSERT_TRUE(Submit(work, later).ok());
  EXPECT_TRUE(later.Wait().ok());
}

TEST_F(WindowBatcherTest, SurvivesAModelThatThrows) {
  Start();
  model_.FailWith([](size_t) -> absl::Status { throw std::runtime_error("device lost"); });
  Outcome outcome;
  ASSERT_TRUE(Submit(MakeWork({1, 2}), outcome).ok());
  EXPECT_EQ(outcome.Wait().status(), absl::InternalError("the model failed: device lost"));
  model_.FailWith(nullptr);
  Outcome next;
  ASSERT_TRUE(Submit(MakeWork({3}), next).ok());
  EXPECT_TRUE(next.Wait().ok());
}

TEST_F(WindowBatcherTest, ReportsAModelThatCantBeWarmed) {
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  batcher_ = std::make_unique<WindowBatcher>(options_, std::vector<std::vector<TaggingModel*>>{{&model_}}, clock_, metrics_);
  EXPECT_EQ(batcher_->WaitUntilWarm().status(), absl::InternalError("lost"));
}

TEST_F(WindowBatcherTest, RunsSeveralExecutorsSideBySide) {
  StartTwoHeld();
  Outcome a, b;
  ASSERT_TRUE(Submit(MakeWork({1}), a).ok());
  ASSERT_TRUE(Submit(MakeWork({2}), b).ok());
  model_.WaitForPasses(1);  // both are on a device though neither has ended
  second_.WaitForPasses(1);
  model_.Release();
  second_.Release();
  EXPECT_TRUE(a.Wait().ok());
  EXPECT_TRUE(b.Wait().ok());
}

TEST_F(WindowBatcherTest, GivesASickExecutorNoWorkWhileAnotherIsWell) {
  bool said_sick = false;
  options_.on_device_health = [&](bool) { said_sick = true; };
  StartTwoHeld();
  Outcome a, b;
  ASSERT_TRUE(Submit(MakeWork({1}), a).ok());
  ASSERT_TRUE(Submit(MakeWork({1}), b).ok());
  model_.WaitForPasses(1);
  second_.WaitForPasses(1);
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  model_.Release();  // the second stays busy: what comes now is the first's
  for (int i = 1; i < BatchRunner::kFailuresUntilSick; ++i) {
    Outcome outcome;
    ASSERT_TRUE(Submit(MakeWork({1}), outcome).ok());
    EXPECT_EQ(outcome.Wait().status(), absl::InternalError("lost"));
  }
  Outcome spared;
  ASSERT_TRUE(Submit(MakeWork({2}), spared).ok());
  second_.Release();
  EXPECT_TRUE(spared.Wait().ok());
  a.Wait();
  b.Wait();
  EXPECT_FALSE(said_sick);
}

}  // namespace
}  // namespace culturetag
