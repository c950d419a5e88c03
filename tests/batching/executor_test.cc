#include "batching/executor.h"

#include <memory>
#include <utility>

#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

// Hands out what a test gives it, and keeps what comes back.
class FakeHost final : public ExecutorHost {
 public:
  void WarmupEnded(int, int model, absl::StatusOr<WarmupReport> report) override {
    absl::MutexLock lock(&mutex_);
    warm_[model] = report.status();
  }
  absl::optional<Batch> TakeBatch(int) override {
    const auto given = [this] { return stopping_ || !batches_.empty(); };
    absl::MutexLock lock(&mutex_);
    ++takes_;
    mutex_.Await(absl::Condition(&given));
    if (batches_.empty()) return absl::nullopt;
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    return batch;
  }
  void PassStarts(int, const Batch&) override {}
  void PassEnded(int, Batch, PassResult result) override {
    absl::MutexLock lock(&mutex_);
    results_.push_back(std::move(result));
  }
  void HealthChanged(int, bool) override {}

  // A batch of one window of the model in `slot`.
  void Give(int slot) {
    Batch batch;
    batch.key = {slot, 100};
    batch.entries.push_back({nullptr, 0, FakeWindow(0.5F), absl::Time()});
    absl::MutexLock lock(&mutex_);
    batches_.push_back(std::move(batch));
  }
  absl::Status AwaitWarm(int slot) {
    const auto warm = [this, slot] { return warm_.count(slot) > 0; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&warm));
    return warm_[slot];
  }
  // Blocks until `count` batches have been staged: then the executor asks for another.
  void AwaitStaged(int count) {
    const auto enough = [this, count] { return takes_ > count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
  }
  void AwaitPasses(size_t count) {
    const auto enough = [this, count] { return results_.size() >= count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
  }
  bool warm(int slot) {
    absl::MutexLock lock(&mutex_);
    return warm_.count(slot) > 0;
  }
  void Stop() {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Batch> batches_;
  std::vector<PassResult> results_;
  std::map<int, absl::Status> warm_;
  int takes_ = 0;
  bool stopping_ = false;
};

class ExecutorTest : public testing::Test {
 protected:
  ~ExecutorTest() override { host_.Stop(); }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel present_{FakeSpec("present")};
  FakeModel newcomer_{FakeSpec("newcomer")};
  FakeHost host_;
  Executor executor_{0, 2, host_, clock_, metrics_};
};

TEST_F(ExecutorTest, RunsWhatIsStagedBetweenTwoPassesOfAWarmup) {
  executor_.Add(0, present_);
  ASSERT_TRUE(host_.AwaitWarm(0).ok());
  present_.ForgetPasses();
  newcomer_.Hold();
  executor_.Add(1, newcomer_);
  newcomer_.WaitForPasses(1);
  host_.Give(0);
  host_.AwaitStaged(1);
  EXPECT_TRUE(present_.passes().empty());
  newcomer_.Permit();
  newcomer_.WaitForPasses(2);
  EXPECT_EQ(present_.passes().size(), 1U);
  EXPECT_FALSE(host_.warm(1));
  newcomer_.Release();
  EXPECT_TRUE(host_.AwaitWarm(1).ok());
}

TEST_F(ExecutorTest, RunsEachBatchOnTheModelOfItsSlot) {
  executor_.Add(4, present_);
  executor_.Add(7, newcomer_);
  ASSERT_TRUE(host_.AwaitWarm(7).ok());
  for (FakeModel* model : {&present_, &newcomer_}) model->ForgetPasses();
  host_.Give(7);
  host_.AwaitPasses(1);
  EXPECT_TRUE(present_.passes().empty());
  EXPECT_EQ(newcomer_.passes().size(), 1U);
}

TEST_F(ExecutorTest, SaysWhichModelCantBeWarmedUpAndGoesOn) {
  newcomer_.FailWith([](size_t) { return absl::InternalError("broken"); });
  executor_.Add(0, present_);
  executor_.Add(1, newcomer_);
  EXPECT_TRUE(host_.AwaitWarm(0).ok());
  EXPECT_EQ(host_.AwaitWarm(1), absl::InternalError("broken"));
  executor_.Remove(1);
  host_.Give(0);
  host_.AwaitPasses(1);
}

}  // namespace
}  // namespace culturetag
