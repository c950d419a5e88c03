#include "service/model_reloader.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "absl/synchronization/notification.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kPeriod = absl::Seconds(5);

ModelSpec Spec(const std::string& name, const std::string& version) {
  ModelSpec spec = FakeSpec(name);
  spec.version = version;
  return spec;
}

// A FakeModel that tells when it goes.
class CountedModel final : public TaggingModel {
 public:
  CountedModel(ModelSpec spec, std::atomic<int>& alive) : fake_(std::move(spec)), alive_(alive) { ++alive_; }
  ~CountedModel() override { --alive_; }

  const ModelSpec& spec() const override { return fake_.spec(); }
  std::string device() const override { return fake_.device(); }
  std::string precision() const override { return fake_.precision(); }
  absl::StatusOr<std::unique_ptr<StagedBatch>> Stage(absl::Span<const absl::Span<const float>> windows) override {
    return fake_.Stage(windows);
  }
  absl::StatusOr<std::vector<WindowOutput>> Run(const StagedBatch& batch, bool hidden_states) override {
    return fake_.Run(batch, hidden_states);
  }
  FakeModel& fake() { return fake_; }

 private:
  FakeModel fake_;
  std::atomic<int>& alive_;
};

// What a test says lies at the source.
class FakeSource {
 public:
  explicit FakeSource(std::string name) : spec_(Spec(name, "1")) {}

  // For the reloader, which owns it.
  class View final : public ModelSource {
   public:
    explicit View(FakeSource& source) : source_(source) {}
    std::string name() const override { return "fake"; }
    absl::StatusOr<std::string> Digest() override {
      absl::MutexLock lock(&source_.mutex_);
      return source_.spec_.version;
    }
    absl::StatusOr<ModelVersion> Load() override { return source_.Load(); }

   private:
    FakeSource& source_;
  };

  void Put(ModelSpec spec, absl::Status error = absl::OkStatus()) {
    absl::MutexLock lock(&mutex_);
    spec_ = std::move(spec);
    error_ = std::move(error);
  }
  // The models of the versions that are loaded from now on hold their passes.
  void HoldNext() {
    absl::MutexLock lock(&mutex_);
    hold_ = true;
  }
  absl::StatusOr<ModelVersion> Load() {
    absl::MutexLock lock(&mutex_);
    ++loads_;
    if (!error_.ok()) return error_;
    auto model = std::make_unique<CountedModel>(spec_, alive_);
    latest_ = &model->fake();
    if (hold_) latest_->Hold();
    ModelVersion version;
    version.digest = spec_.version;
    version.instances.push_back(std::move(model));
    return version;
  }
  FakeModel& AwaitLoad(int count) {
    const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return loads_ >= count; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&enough));
    return *latest_;
  }
  int loads() {
    absl::MutexLock lock(&mutex_);
    return loads_;
  }
  int alive() const { return alive_; }

 private:
  absl::Mutex mutex_;
  ModelSpec spec_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  int loads_ ABSL_GUARDED_BY(mutex_) = 0;
  FakeModel* latest_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::atomic<int> alive_{0};
};

// Two models that are served, and a reloader that watches over them.
class ModelReloaderTest : public testing::Test {
 protected:
  ModelReloaderTest() {
    std::vector<TaggingModel*> models;
    for (FakeSource* source : {&first_, &second_}) {
      const int slot = static_cast<int>(models.size());
      versions_.emplace(slot, *source->Load());
      models.push_back(versions_.at(slot).instances.front().get());
    }
    WindowBatcher::Options options;
    options.max_batch_windows = 1;
    batcher_ = std::make_unique<WindowBatcher>(options, std::vector<std::vector<TaggingModel*>>{models}, batcher_clock_, metrics_);
    EXPECT_TRUE(batcher_->WaitUntilWarm().ok());
    tagger_ = std::make_unique<Tagger>(Tagger::Options{}, std::vector<const TaggingModel*>(models.begin(), models.end()), decoders_,
                                       *batcher_, batcher_clock_, metrics_);
    Start();
  }
  ~ModelReloaderTest() override {
    batcher_->StopWarmup();
    reloader_.reset();
    tagger_->Drain(absl::InfiniteFuture());
  }

  void Start(absl::Duration period = kPeriod) {
    reloader_.reset();
    std::vector<std::unique_ptr<ModelSource>> sources;
    for (FakeSource* source : {&first_, &second_}) sources.push_back(std::make_unique<FakeSource::View>(*source));
    reloader_ = std::make_unique<ModelReloader>(ModelReloader::Options{period}, std::move(sources), versions_, *batcher_, *tagger_,
                                                clock_, metrics_);
  }

  // Lets time pass, once the reloader waits for it, and waits until it has done what was due.
  void Pass(absl::Duration time) {
    clock_.WaitForSleepers(1);
    clock_.Advance(time);
    clock_.WaitForSleepers(1);
  }
  void Ask() {
    clock_.WaitForSleepers(1);
    reloader_->RequestCheck();
    clock_.WaitForSleepers(1);
  }

  // A call of one window, whose outcome is in `outcome` once it is over.
  struct Outcome {
    absl::Notification done;
    absl::StatusOr<TagResult> result;
  };
  void Begin(Outcome& outcome, const std::string& model = "") {
    TagRequest request;
    request.audio = audio_;
    request.pcm = PcmFormat{PcmEncoding::kF32Le, 4000, 1};
    request.model = model;
    tagger_->Tag(request, [&outcome](absl::StatusOr<TagResult> result) {
      outcome.result = std::move(result);
      outcome.done.Notify();
    });
  }
  std::string VersionThatTags(const std::string& model = "") {
    Outcome outcome;
    Begin(outcome, model);
    outcome.done.WaitForNotification();
    return outcome.result.ok() ? outcome.result->model->version : outcome.result.status().ToString();
  }
  std::string Reloads(const std::string& model, const std::string& result) {
    const std::string text = metrics_.Serialize();
    const std::string series = "culturetag_bundle_reloads_total{model=\"" + model + "\",result=\"" + result + "\"} ";
    const size_t at = text.find(series);
    return at == std::string::npos ? "none" : text.substr(at + series.size(), text.find('\n', at) - at - series.size());
  }

  const std::string audio_ = [] {
    const std::vector<float> samples(400, 0.5F);  // one window of 0.1 s
    std::string bytes(samples.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), samples.data(), bytes.size());
    return bytes;
  }();
  FakeClock clock_;          // the reloader's, which is alone on it, so that its sleep can be waited for
  FakeClock batcher_clock_;  // of all others
  Metrics metrics_{"test"};
  FakeSource first_{"first"};
  FakeSource second_{"second"};
  ModelReloader::Versions versions_;
  std::unique_ptr<WindowBatcher> batcher_;
  WorkerPool decoders_{1, 8};
  std::unique_ptr<Tagger> tagger_;
  std::unique_ptr<ModelReloader> reloader_;
};

TEST_F(ModelReloaderTest, TakesUpAVersionThatHasChangedAndOnlyThat) {
  EXPECT_EQ(VersionThatTags(), "1");
  first_.Put(Spec("first", "2"));
  Pass(kPeriod);
  EXPECT_EQ(VersionThatTags(), "2");
  EXPECT_EQ(VersionThatTags("second"), "1");
  EXPECT_EQ(first_.loads(), 2);
  EXPECT_EQ(second_.loads(), 1);
  EXPECT_EQ(Reloads("first", "ok"), "1");
  EXPECT_EQ(tagger_->models()[0]->spec->version, "2");
  Pass(kPeriod);
  EXPECT_EQ(first_.loads(), 2);
}

TEST_F(ModelReloaderTest, SaysInTheMetricsWhichVersionIsServed) {
  for (const char* version : {"2", "3"}) {
    first_.Put(Spec("first", version));
    Pass(kPeriod);
  }
  const std::string text = metrics_.Serialize();
  const std::string labels = "culturetag_model_info{backbone=\"none\",device=\"fake:0\",model=\"first\",precision=\"fp32\",version=";
  EXPECT_THAT(text, HasSubstr(labels + "\"3\"} 1"));
  EXPECT_THAT(text, testing::Not(HasSubstr(labels + "\"2\"}")));
}

TEST_F(ModelReloaderTest, LooksAtOnceWhenItIsAsked) {
  Start(absl::ZeroDuration());
  second_.Put(Spec("second", "2"));
  Pass(absl::Hours(1));
  EXPECT_EQ(VersionThatTags("second"), "1");
  Ask();
  EXPECT_EQ(VersionThatTags("second"), "2");
}

TEST_F(ModelReloaderTest, EndsACallOnTheVersionWithWhichItBeganAndThenLetsThatGo) {
  FakeModel& old = first_.AwaitLoad(1);
  old.ForgetPasses();
  old.Hold();
  Outcome under_way;
  Begin(under_way);
  old.WaitForPasses(1);
  first_.Put(Spec("first", "2"));
  first_.HoldNext();
  clock_.WaitForSleepers(1);
  clock_.Advance(kPeriod);
  FakeModel& next = first_.AwaitLoad(2);
  EXPECT_FALSE(under_way.done.HasBeenNotified());
  old.Release();  // the device, which both share
  under_way.done.WaitForNotification();
  EXPECT_EQ(under_way.result->model->version, "1");
  next.Release();
  clock_.WaitForSleepers(1);
  EXPECT_EQ(VersionThatTags(), "2");
  while (first_.alive() > 1) Pass(ModelReloader::kReleaseDelay);
}

TEST_F(ModelReloaderTest, KeepsAVersionAsLongAsACallHasIt) {
  Outcome outcome;
  const auto version = *tagger_->FindModel("first");
  first_.Put(Spec("first", "2"));
  Pass(kPeriod);
  for (int i = 0; i < 10; ++i) Pass(ModelReloader::kReleaseDelay);
  EXPECT_EQ(first_.alive(), 2);
  TagRequest request;
  request.audio = audio_;
  request.pcm = PcmFormat{PcmEncoding::kF32Le, 4000, 1};
  request.version = version;
  tagger_->Tag(request, [&outcome](absl::StatusOr<TagResult> result) {
    outcome.result = std::move(result);
    outcome.done.Notify();
  });
  outcome.done.WaitForNotification();
  ASSERT_TRUE(outcome.result.ok()) << outcome.result.status();
  EXPECT_EQ(outcome.result->model->version, "1");
}

TEST_F(ModelReloaderTest, KeepsThePresentVersionIfTheNewOneIsDamagedAndTriesAgainLaterAndLater) {
  first_.Put(Spec("first", "2"), absl::InvalidArgumentError("the digest disagrees"));
  Pass(kPeriod);
  EXPECT_EQ(VersionThatTags(), "1");
  EXPECT_EQ(Reloads("first", "failed"), "1");
  EXPECT_EQ(first_.loads(), 2);
  Pass(kPeriod);
  EXPECT_EQ(first_.loads(), 3);
  Pass(kPeriod);  // half of the second delay
  EXPECT_EQ(first_.loads(), 3);
  Pass(kPeriod);
  EXPECT_EQ(first_.loads(), 4);
  Ask();
  EXPECT_EQ(first_.loads(), 5);
  EXPECT_EQ(Reloads("first", "failed"), "4");
  first_.Put(Spec("first", "3"));
  Pass(kPeriod);
  EXPECT_EQ(VersionThatTags(), "3");
}

TEST_F(ModelReloaderTest, TakesUpTheRestOfAVersionThatWasStillBeingCopied) {
  first_.Put(Spec("first", "2"), absl::NotFoundError("heads/fma.ts is not there"));
  Pass(kPeriod);
  first_.Put(Spec("first", "2"));
  Pass(ModelReloader::kFirstRetryDelay);
  EXPECT_EQ(VersionThatTags(), "2");
}

TEST_F(ModelReloaderTest, RefusesAModelOfAnotherName) {
  first_.Put(Spec("other", "2"));
  Pass(kPeriod);
  EXPECT_EQ(VersionThatTags(), "1");
  EXPECT_EQ(Reloads("first", "failed"), "1");
  EXPECT_EQ(first_.alive(), 1);
}

TEST_F(ModelReloaderTest, GivesAVersionUpThatIsBeingWarmedWhenItEnds) {
  first_.Put(Spec("first", "2"));
  first_.HoldNext();
  clock_.WaitForSleepers(1);
  clock_.Advance(kPeriod);
  FakeModel& next = first_.AwaitLoad(2);
  next.WaitForPasses(1);
  batcher_->StopWarmup();
  next.Release();
  reloader_.reset();
  EXPECT_EQ(VersionThatTags(), "1");
  EXPECT_EQ(Reloads("first", "failed"), "none");
  EXPECT_EQ(first_.alive(), 1);
}

}  // namespace
}  // namespace culturetag
