#include "service/caching_tagger.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/error_details.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::HasSubstr;

constexpr int64_t kRoom = 1 << 20;

// One window of the fake model's, all `value`.
std::string Samples(float value) {
  const std::vector<float> samples(400, value);
  std::string bytes(samples.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), samples.data(), bytes.size());
  return bytes;
}

// Tells apart what the tests send, in which all samples but the first few bytes are alike.
Sha256Digest FakeDigest(absl::string_view bytes) {
  Sha256Digest digest{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), digest.size()), digest.begin());
  return digest;
}

// A call and what came of it.
template <typename Result>
struct Outcome {
  absl::Notification done;
  absl::StatusOr<Result> result;
  std::shared_ptr<Tagger::Call> call;
};

class CachingTaggerTest : public testing::Test {
 protected:
  CachingTaggerTest() {
    WindowBatcher::Options options;
    options.max_batch_windows = 1;
    batcher_ = std::make_unique<WindowBatcher>(options, std::vector<std::vector<TaggingModel*>>{{&model_}}, clock_, metrics_);
    EXPECT_TRUE(batcher_->WaitUntilWarm().ok());
    model_.ForgetPasses();
    tagger_ = std::make_unique<Tagger>(Tagger::Options{}, std::vector<const TaggingModel*>{&model_}, decoders_, *batcher_, clock_, metrics_);
    cache_ = std::make_unique<CachingTagger>(kRoom, FakeDigest, *tagger_, clock_, metrics_);
  }
  ~CachingTaggerTest() override {
    model_.Release();
    tagger_->Drain(absl::InfiniteFuture());
  }

  TagRequest Request() const {
    TagRequest request;
    request.audio = audio_;
    request.pcm = PcmFormat{PcmEncoding::kF32Le, 4000, 1};
    return request;
  }
  Outcome<TagResult>& Begin(TagRequest request) {
    Outcome<TagResult>& outcome = outcomes_.emplace_back();
    outcome.call = cache_->Tag(std::move(request), [&outcome](absl::StatusOr<TagResult> result) {
      outcome.result = std::move(result);
      outcome.done.Notify();
    });
    return outcome;
  }
  absl::StatusOr<TagResult> Tag(TagRequest request) {
    Outcome<TagResult>& outcome = Begin(std::move(request));
    outcome.done.WaitForNotification();
    return outcome.result;
  }
  absl::StatusOr<EmbedResult> Embed(bool include_windows) {
    EmbedRequest request;
    request.audio = audio_;
    request.pcm = PcmFormat{PcmEncoding::kF32Le, 4000, 1};
    request.include_windows = include_windows;
    Outcome<EmbedResult> outcome;
    outcome.call = cache_->Embed(std::move(request), [&outcome](absl::StatusOr<EmbedResult> result) {
      outcome.result = std::move(result);
      outcome.done.Notify();
    });
    outcome.done.WaitForNotification();
    return outcome.result;
  }
  // Of calls that asked: hits, misses and those that waited for another.
  std::vector<int> Lookups() const {
    const std::string text = metrics_.Serialize();
    std::vector<int> counts;
    for (const char* result : {"hit", "miss", "coalesced"}) {
      const std::string series = std::string("culturetag_response_cache_lookups_total{result=\"") + result + "\"} ";
      counts.push_back(std::stoi(text.substr(text.find(series) + series.size())));
    }
    return counts;
  }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel model_{FakeSpec(), &clock_};
  WorkerPool decoders_{2, 64};
  std::unique_ptr<WindowBatcher> batcher_;
  std::unique_ptr<Tagger> tagger_;
  std::unique_ptr<CachingTagger> cache_;
  const std::string audio_ = Samples(0.5F);
  std::deque<Outcome<TagResult>> outcomes_;
};

TEST_F(CachingTaggerTest, AnswersTheSameQuestionOnceByTheDeviceAndThenFromMemory) {
  model_.SetCost(absl::Milliseconds(10), absl::ZeroDuration());
  const auto first = Tag(Request());
  const auto second = Tag(Request());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(model_.passes().size(), 1U);
  EXPECT_EQ(second->model, first->model);
  EXPECT_EQ(second->audio_duration, first->audio_duration);
  EXPECT_EQ(second->heads[0].tags[0].score, first->heads[0].tags[0].score);
  EXPECT_EQ(Lookups(), (std::vector<int>{1, 1, 0}));
}

TEST_F(CachingTaggerTest, ClaimsNoTimeOfAnEarlierRunForAHit) {
  model_.SetCost(absl::Milliseconds(10), absl::ZeroDuration());
  EXPECT_EQ(Tag(Request())->timing.inference, absl::Milliseconds(10));
  const auto hit = Tag(Request());
  EXPECT_EQ(hit->timing.decode, absl::ZeroDuration());
  EXPECT_EQ(hit->timing.queue, absl::ZeroDuration());
  EXPECT_EQ(hit->timing.inference, absl::ZeroDuration());
  EXPECT_EQ(hit->timing.total, absl::ZeroDuration());  // the clock stands still
}

TEST_F(CachingTaggerTest, TellsApartWhateverChangesTheAnswer) {
  const std::string other_audio = Samples(0.25F);
  std::vector<TagRequest> requests(8, Request());
  requests[1].audio = other_audio;
  requests[2].heads = {"fma"};
  requests[3].heads = {"fma", "makam"};
  requests[4].top_k = 1;
  requests[5].min_score = 0.25F;
  requests[6].include_windows = true;
  requests[7].pcm->sample_rate_hz = 8000;
  for (const TagRequest& request : requests) ASSERT_TRUE(Tag(request).ok());
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 8, 0}));
  ASSERT_TRUE(Embed(false).ok());
  ASSERT_TRUE(Embed(true).ok());
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 10, 0}));
  for (const TagRequest& request : requests) ASSERT_TRUE(Tag(request).ok());
  EXPECT_EQ(Embed(true)->windows.size(), 1U);
  EXPECT_EQ(Lookups(), (std::vector<int>{9, 10, 0}));
}

TEST_F(CachingTaggerTest, DoesNotAskWhoCalls) {
  ASSERT_TRUE(Tag(Request()).ok());
  TagRequest request = Request();
  request.client = "another";
  request.priority = Priority::kBulk;
  request.model = "fake";
  ASSERT_TRUE(Tag(request).ok());
  EXPECT_EQ(Lookups(), (std::vector<int>{1, 1, 0}));
}

TEST_F(CachingTaggerTest, HasNoAnswersOfAVersionThatWasReplaced) {
  ASSERT_TRUE(Tag(Request()).ok());
  tagger_->ReplaceModel(std::make_shared<const ServedModel>(model_, 0));
  ASSERT_TRUE(Tag(Request()).ok());
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 2, 0}));
}

TEST_F(CachingTaggerTest, HasIdenticalCallsThatComeTogetherWaitForOne) {
  model_.Hold();
  std::vector<Outcome<TagResult>*> outcomes;
  for (int i = 0; i < 5; ++i) outcomes.push_back(&Begin(Request()));
  model_.WaitForPasses(1);
  model_.Release();
  for (Outcome<TagResult>* outcome : outcomes) {
    outcome->done.WaitForNotification();
    EXPECT_TRUE(outcome->result.ok()) << outcome->result.status();
  }
  EXPECT_EQ(model_.passes().size(), 1U);
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 1, 4}));
}

TEST_F(CachingTaggerTest, LetsNoInteractiveCallWaitForABulkOne) {
  model_.Hold();
  TagRequest bulk = Request();
  bulk.priority = Priority::kBulk;
  Outcome<TagResult>& first = Begin(bulk);
  Outcome<TagResult>& second = Begin(Request());
  model_.Release();
  first.done.WaitForNotification();
  second.done.WaitForNotification();
  EXPECT_EQ(model_.passes().size(), 2U);
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 2, 0}));
}

TEST_F(CachingTaggerTest, HasTheNextInLineLeadWhenTheLeaderGivesUp) {
  model_.Hold();
  Outcome<TagResult>& leader = Begin(Request());
  model_.WaitForPasses(1);
  Outcome<TagResult>& next = Begin(Request());
  Outcome<TagResult>& last = Begin(Request());
  leader.call->Cancel(WasteReason::kCancelled, absl::CancelledError("gone"));
  leader.done.WaitForNotification();
  EXPECT_EQ(leader.result.status(), absl::CancelledError("gone"));
  EXPECT_FALSE(next.done.HasBeenNotified());
  model_.Release();
  next.done.WaitForNotification();
  last.done.WaitForNotification();
  EXPECT_TRUE(next.result.ok()) << next.result.status();
  EXPECT_TRUE(last.result.ok()) << last.result.status();
  EXPECT_EQ(model_.passes().size(), 2U);
}

TEST_F(CachingTaggerTest, EndsAFollowerAtOnceThatGivesUpAndNobodyElse) {
  model_.Hold();
  Outcome<TagResult>& leader = Begin(Request());
  Outcome<TagResult>& follower = Begin(Request());
  model_.WaitForPasses(1);
  follower.call->Cancel(WasteReason::kExpired, absl::DeadlineExceededError("late"));
  EXPECT_TRUE(follower.done.HasBeenNotified());
  EXPECT_EQ(follower.result.status(), absl::DeadlineExceededError("late"));
  model_.Release();
  leader.done.WaitForNotification();
  EXPECT_TRUE(leader.result.ok());
  follower.call->Cancel(WasteReason::kCancelled, absl::CancelledError("again"));  // has no effect
  leader.call->Cancel(WasteReason::kCancelled, absl::CancelledError("too late"));
}

TEST_F(CachingTaggerTest, SharesWhatIsWrongWithTheRequestAndKeepsNoError) {
  TagRequest request = Request();
  request.top_k = -1;
  EXPECT_EQ(FieldOf(Tag(request).status()), "top_k");
  EXPECT_EQ(FieldOf(Tag(request).status()), "top_k");
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 2, 0}));
  request.model = "unknown";
  EXPECT_EQ(Tag(request).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 2, 0}));  // which isn't the cache's to say
}

TEST_F(CachingTaggerTest, RunsEachFollowerByItselfWhileTheDeviceFails) {
  model_.FailWith([](size_t) { return absl::InternalError("lost"); });
  model_.Hold();
  std::vector<Outcome<TagResult>*> outcomes;
  for (int i = 0; i < 3; ++i) outcomes.push_back(&Begin(Request()));
  model_.WaitForPasses(1);
  model_.Release();
  for (Outcome<TagResult>* outcome : outcomes) {
    outcome->done.WaitForNotification();
    EXPECT_EQ(outcome->result.status().code(), absl::StatusCode::kInternal);
  }
  EXPECT_EQ(model_.passes().size(), 6U);  // each is tried twice
  model_.FailWith([](size_t) { return absl::OkStatus(); });
  EXPECT_TRUE(Tag(Request()).ok());
}

TEST_F(CachingTaggerTest, RefusesAThousandFollowersOfARefusedLeaderWithoutRunningOutOfStack) {
  model_.Hold();
  std::vector<Outcome<TagResult>*> outcomes;
  for (int i = 0; i < 1000; ++i) outcomes.push_back(&Begin(Request()));
  model_.WaitForPasses(1);
  tagger_->Drain(clock_.Now());  // the leader is cut off, and whoever leads next is refused
  for (Outcome<TagResult>* outcome : outcomes) {
    outcome->done.WaitForNotification();
    EXPECT_EQ(outcome->result.status().code(), absl::StatusCode::kUnavailable);
  }
}

TEST_F(CachingTaggerTest, KeepsNoMoreThanItMay) {
  cache_ = std::make_unique<CachingTagger>(2000, FakeDigest, *tagger_, clock_, metrics_);
  for (int i = 0; i < 20; ++i) {
    const std::string audio = Samples(0.01F * static_cast<float>(i));
    TagRequest request = Request();
    request.audio = audio;
    ASSERT_TRUE(Tag(request).ok());
  }
  const std::string text = metrics_.Serialize();
  const std::string gauge = "culturetag_response_cache_bytes ";
  const double bytes = std::stod(text.substr(text.find("\n" + gauge) + 1 + gauge.size()));
  EXPECT_GT(bytes, 0);
  EXPECT_LE(bytes, 2000);
  EXPECT_THAT(text, testing::Not(HasSubstr("culturetag_response_cache_evictions_total 0\n")));
}

TEST_F(CachingTaggerTest, IsNotThereWithoutRoom) {
  cache_ = std::make_unique<CachingTagger>(0, FakeDigest, *tagger_, clock_, metrics_);
  ASSERT_TRUE(Tag(Request()).ok());
  ASSERT_TRUE(Tag(Request()).ok());
  EXPECT_EQ(model_.passes().size(), 2U);
  EXPECT_EQ(Lookups(), (std::vector<int>{0, 0, 0}));
}

// What the thread sanitizer looks at: calls that come, follow, give up and end on several threads at once.
TEST_F(CachingTaggerTest, BearsCallsFromManyThreads) {
  std::vector<std::string> audio;
  for (int i = 0; i < 4; ++i) audio.push_back(Samples(0.1F * static_cast<float>(i)));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        TagRequest request = Request();
        request.audio = audio[static_cast<size_t>(i * (t + 1) % 4)];
        request.top_k = i / 10;
        auto outcome = std::make_shared<Outcome<TagResult>>();
        const auto call = cache_->Tag(std::move(request), [outcome](absl::StatusOr<TagResult> result) {
          outcome->result = std::move(result);
          outcome->done.Notify();
        });
        if (i % 5 == 0) call->Cancel(WasteReason::kCancelled, absl::CancelledError("gone"));
        outcome->done.WaitForNotification();
        EXPECT_TRUE(outcome->result.ok() || (i % 5 == 0 && absl::IsCancelled(outcome->result.status()))) << outcome->result.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace culturetag
