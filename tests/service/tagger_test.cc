#include "service/tagger.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "base/error_details.h"
#include "fakes/fake_clock.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kRate = 4000;  // four samples for each of the fake model's, which takes 1000 Hz

// `seconds` of 32-bit floats at kRate, all `value`.
std::string Samples(double seconds, float value) {
  const std::vector<float> samples(static_cast<size_t>(std::lround(seconds * kRate)), value);
  std::string bytes(samples.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), samples.data(), bytes.size());
  return bytes;
}

// Keeps `threads` threads of a pool busy from construction to destruction.
class BusyPool {
 public:
  BusyPool(WorkerPool& pool, int threads) : running_(threads), ended_(threads) {
    for (int i = 0; i < threads; ++i) {
      EXPECT_TRUE(pool.TrySchedule([this] {
        running_.DecrementCount();
        release_.WaitForNotification();
        ended_.DecrementCount();
      }));
    }
    running_.Wait();
  }
  ~BusyPool() {
    release_.Notify();
    ended_.Wait();
  }

 private:
  absl::BlockingCounter running_;
  absl::Notification release_;
  absl::BlockingCounter ended_;
};

class TaggerTest : public testing::Test {
 protected:
  TaggerTest() {
    WindowBatcher::Options options;
    options.max_batch_windows = 4;
    batcher_ = std::make_unique<WindowBatcher>(options, std::vector<std::vector<TaggingModel*>>{{&model_, &other_}}, clock_, metrics_);
    EXPECT_TRUE(batcher_->WaitUntilWarm().ok());
    model_.ForgetPasses();
    tagger_ = std::make_unique<Tagger>(Options(), std::vector<const TaggingModel*>{&model_, &other_}, decoders_,
                                       *batcher_, clock_, metrics_);
  }
  ~TaggerTest() override {
    model_.Release();
    tagger_->Drain(absl::InfiniteFuture());
  }

  static Tagger::Options Options() {
    Tagger::Options options;
    options.max_audio_duration = absl::Seconds(2);
    options.stream_idle_timeout = absl::Seconds(10);
    options.max_streams = 4;
    return options;
  }

  static TagRequest Request(absl::string_view audio) {
    TagRequest request;
    request.audio = audio;
    request.pcm = PcmFormat{PcmEncoding::kF32Le, kRate, 1};
    return request;
  }

  absl::StatusOr<TagResult> Tag(TagRequest request) {
    absl::Notification done;
    absl::StatusOr<TagResult> outcome;
    tagger_->Tag(std::move(request), [&](absl::StatusOr<TagResult> result) {
      outcome = std::move(result);
      done.Notify();
    });
    done.WaitForNotification();
    return outcome;
  }

  FakeClock clock_;
  Metrics metrics_{"test"};
  FakeModel model_{FakeSpec("first"), &clock_};
  FakeModel other_{FakeSpec("second"), &clock_};
  WorkerPool decoders_{2, 4};
  std::unique_ptr<WindowBatcher> batcher_;
  std::unique_ptr<Tagger> tagger_;
};

TEST_F(TaggerTest, TagsAClipFromBytesToLabels) {
  const std::string audio = Samples(0.25, 0.5F);
  const auto result = Tag(Request(audio));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->model->name, "first");
  EXPECT_EQ(result->source.sample_rate_hz, kRate);
  EXPECT_EQ(result->source.channel_count, 1);
  EXPECT_EQ(result->source.format, "PCM/F32LE");
  EXPECT_EQ(result->audio_duration, absl::Milliseconds(250));
  EXPECT_EQ(result->window_count, 3);  // at 0, 100 and, right-aligned, 150 ms
  ASSERT_EQ(result->heads.size(), 2U);
  ASSERT_EQ(result->heads[0].tags.size(), 3U);
  EXPECT_EQ(result->heads[0].tags[0].label, 0);
  EXPECT_NEAR(result->heads[0].tags[1].score, result->heads[0].tags[0].score / 2, 1e-6);
  EXPECT_TRUE(result->windows.empty());
}

TEST_F(TaggerTest, GivesTheMeanOfTheWindowsAndTheWindowsIfAsked) {
  const std::string audio = Samples(0.25, 0.5F);
  TagRequest request = Request(audio);
  request.include_windows = true;
  request.heads = {"fma"};
  request.top_k = 1;
  const auto result = Tag(request);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->windows.size(), 3U);
  EXPECT_EQ(result->windows[1].start_offset, absl::Milliseconds(100));
  EXPECT_EQ(result->windows[2].start_offset, absl::Milliseconds(150));
  EXPECT_EQ(result->windows[2].duration, absl::Milliseconds(100));
  double sum = 0;
  for (const WindowTags& window : result->windows) {
    ASSERT_EQ(window.heads.size(), 1U);
    EXPECT_EQ(window.heads[0].head, 1);
    ASSERT_EQ(window.heads[0].tags.size(), 1U);
    sum += window.heads[0].tags[0].score;
  }
  EXPECT_NEAR(result->heads[0].tags[0].score, sum / 3, 1e-6);
}

TEST_F(TaggerTest, ScoresAClipThatIsShorterThanAWindowAtItsOwnLength) {
  const std::string audio = Samples(0.05, 0.5F);
  ASSERT_TRUE(Tag(Request(audio)).ok());
  ASSERT_EQ(model_.passes().size(), 1U);
  EXPECT_EQ(model_.passes()[0].length, 50U);
}

TEST_F(TaggerTest, ChoosesTheModelByName) {
  const std::string audio = Samples(0.1, 0.5F);
  TagRequest request = Request(audio);
  request.model = "second";
  const auto result = Tag(request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->model->name, "second");
}

TEST_F(TaggerTest, NamesTheModelsAndHeadsThatExist) {
  const std::string audio = Samples(0.1, 0.5F);
  TagRequest request = Request(audio);
  request.model = "third";
  const absl::Status model = Tag(request).status();
  EXPECT_EQ(model.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(model.message()), AllOf(HasSubstr("third"), HasSubstr("first, second")));
  request.model = "";
  request.heads = {"raga"};
  const absl::Status head = Tag(request).status();
  EXPECT_EQ(head.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(head.message()), AllOf(HasSubstr("raga"), HasSubstr("makam"), HasSubstr("fma")));
}

TEST_F(TaggerTest, NamesTheFieldOfAWrongOption) {
  const std::string audio = Samples(0.1, 0.5F);
  TagRequest request = Request(audio);
  request.top_k = -1;
  EXPECT_EQ(FieldOf(Tag(request).status()), "top_k");
  request.top_k = 0;
  for (const float score : {-0.1F, 1.1F, std::numeric_limits<float>::quiet_NaN()}) {
    request.min_score = score;
    EXPECT_EQ(FieldOf(Tag(request).status()), "min_score") << score;
  }
}

TEST_F(TaggerTest, NamesTheAudioFieldThatIsWrong) {
  const std::string short_audio = Samples(0.005, 0.5F);
  const absl::Status too_short = Tag(Request(short_audio)).status();
  EXPECT_EQ(too_short.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(too_short), "audio.pcm");

  const std::string nan = Samples(0.1, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(FieldOf(Tag(Request(nan)).status()), "audio.pcm.samples");

  TagRequest bad_rate = Request(short_audio);
  bad_rate.pcm->sample_rate_hz = 7;
  EXPECT_EQ(FieldOf(Tag(bad_rate).status()), "audio.pcm.sample_rate_hz");

  TagRequest file = Request("no audio file");
  file.pcm.reset();
  EXPECT_EQ(FieldOf(Tag(file).status()), "audio.encoded");
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_rejected_total{reason=\"bad_audio\"} 4"));
}

TEST_F(TaggerTest, RefusesAudioThatIsTooLong) {
  const std::string audio = Samples(2.001, 0.5F);
  const absl::Status status = Tag(Request(audio)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("longer than 2s"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_rejected_total{reason=\"too_long\"} 1"));
  const std::string just_right = Samples(2.0, 0.5F);
  EXPECT_TRUE(Tag(Request(just_right)).ok());
}

TEST_F(TaggerTest, TellsWhereTheTimeWent) {
  model_.SetCost(absl::Milliseconds(100), absl::Milliseconds(10));
  const std::string audio = Samples(0.3, 0.5F);
  const auto result = Tag(Request(audio));
  ASSERT_TRUE(result.ok()) << result.status();
  // Three windows in one pass to three, as the device finds them; the fake clock stands still for all else.
  EXPECT_GE(result->timing.inference, absl::Milliseconds(130));
  EXPECT_LE(result->timing.inference, absl::Milliseconds(330));
  EXPECT_EQ(result->timing.total, result->timing.inference);
}

TEST_F(TaggerTest, RefusesWhatNoDecoderHasRoomForAndSaysWhenToRetry) {
  const BusyPool busy(decoders_, 2);
  while (decoders_.TrySchedule([] {})) {
  }
  const std::string audio = Samples(0.1, 0.5F);
  const absl::Status status = Tag(Request(audio)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryDelayOf(status).has_value());
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("culturetag_rejected_total{reason=\"queue_full\"} 1"));
}

TEST_F(TaggerTest, CancelsACallWhoseWindowsWait) {
  model_.Hold();
  const std::string audio = Samples(0.1, 0.5F);
  absl::Notification blocker_done, done;
  tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult>) { blocker_done.Notify(); });
  model_.WaitForPasses(1);
  absl::Status status;
  const auto call = tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult> result) {
    status = result.status();
    done.Notify();
  });
  while (batcher_->Snapshot().pending_windows < 2) std::this_thread::yield();
  call->Cancel(WasteReason::kCancelled, absl::CancelledError("gone"));
  done.WaitForNotification();  // though the device is held
  EXPECT_EQ(status, absl::CancelledError("gone"));
  model_.Release();
  blocker_done.WaitForNotification();
  EXPECT_EQ(model_.passes().size(), 1U);
}

TEST_F(TaggerTest, CancelsACallThatHasNotBeenDecodedYet) {
  const std::string audio = Samples(0.1, 0.5F);
  absl::Notification done;
  absl::Status status;
  {
    const BusyPool busy(decoders_, 2);
    const auto call = tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult> result) {
      status = result.status();
      done.Notify();
    });
    call->Cancel(WasteReason::kExpired, absl::DeadlineExceededError("late"));
  }
  done.WaitForNotification();
  EXPECT_EQ(status, absl::DeadlineExceededError("late"));
  EXPECT_TRUE(model_.passes().empty());
}

// A call and its submission know each other; neither may keep the other alive once the call has ended.
TEST_F(TaggerTest, LetsGoOfItsCalls) {
  const std::string audio = Samples(0.1, 0.5F);
  absl::Notification ended, cancelled;
  model_.Hold();
  std::weak_ptr<Tagger::Call> first = tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult>) { ended.Notify(); });
  model_.WaitForPasses(1);
  auto call = tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult>) { cancelled.Notify(); });
  while (batcher_->Snapshot().pending_windows < 2) std::this_thread::yield();
  call->Cancel(WasteReason::kCancelled, absl::CancelledError("gone"));
  cancelled.WaitForNotification();
  const std::weak_ptr<Tagger::Call> second = call;
  call.reset();
  while (!second.expired()) std::this_thread::yield();  // hangs if it is leaked
  model_.Release();
  ended.WaitForNotification();
  while (!first.expired()) std::this_thread::yield();
}

TEST_F(TaggerTest, EmbedsAClipAsTheMeanOfItsWindows) {
  const std::string audio = Samples(0.25, 0.5F);
  EmbedRequest request;
  request.audio = audio;
  request.pcm = PcmFormat{PcmEncoding::kF32Le, kRate, 1};
  request.include_windows = true;
  absl::Notification done;
  absl::StatusOr<EmbedResult> outcome;
  tagger_->Embed(request, [&](absl::StatusOr<EmbedResult> result) {
    outcome = std::move(result);
    done.Notify();
  });
  done.WaitForNotification();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_EQ(outcome->windows.size(), 3U);
  EXPECT_EQ(outcome->windows[2].start_offset, absl::Milliseconds(150));
  float sum = 0;
  for (const WindowEmbedding& window : outcome->windows) {
    ASSERT_EQ(window.values.size(), 1U);
    sum += window.values[0];
  }
  ASSERT_EQ(outcome->values.size(), 1U);
  EXPECT_NEAR(outcome->values[0], sum / 3, 1e-6);
}

TEST_F(TaggerTest, HoldsOnlyAFewWindowsOfALongTrack) {
  model_.Hold();
  const std::string audio = Samples(2, 0.5F);  // 20 windows
  absl::Notification done;
  tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult> result) {
    EXPECT_EQ(result.value().window_count, 20);
    done.Notify();
  });
  model_.WaitForPasses(1);
  EXPECT_EQ(batcher_->Snapshot().pending_windows, 20);  // those to come count, too
  for (int i = 0; i < 30; ++i) model_.Permit();
  done.WaitForNotification();
}

TEST_F(TaggerTest, RefusesSamplesThatOverflowInTheResampler) {
  std::vector<float> loud(400);
  for (size_t i = 0; i < loud.size(); ++i) loud[i] = i % 7 < 3 ? 3e38F : -3e38F;
  const std::string audio(reinterpret_cast<const char*>(loud.data()), loud.size() * sizeof(float));
  const absl::Status status = Tag(Request(audio)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "audio.pcm");
}

TEST_F(TaggerTest, EndsWhatWaitsForADecoderWhenTheDrainTimesOut) {
  const std::string audio = Samples(0.1, 0.5F);
  absl::Notification older_ended, younger_ended;
  absl::Status status;
  std::thread drain;
  model_.Hold();
  tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult>) { older_ended.Notify(); });
  model_.WaitForPasses(1);
  {
    const BusyPool busy(decoders_, 2);
    tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult> result) {
      status = result.status();
      younger_ended.Notify();
    });
    drain = std::thread([this] { EXPECT_FALSE(tagger_->Drain(clock_.Now() + absl::Seconds(1))); });
    clock_.WaitForSleepers(1);
    clock_.Advance(absl::Seconds(1));
    older_ended.WaitForNotification();  // the younger one has been given up before
  }
  drain.join();
  younger_ended.WaitForNotification();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(TaggerTest, FinishesItsCallsAndRefusesNewOnesWhileDraining) {
  model_.Hold();
  const std::string audio = Samples(0.1, 0.5F);
  absl::Notification done;
  bool ok = false;
  tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult> result) {
    ok = result.ok();
    done.Notify();
  });
  model_.WaitForPasses(1);
  std::thread drain([this] { EXPECT_TRUE(tagger_->Drain(absl::InfiniteFuture())); });
  clock_.WaitForSleepers(1);
  EXPECT_EQ(Tag(Request(audio)).status().code(), absl::StatusCode::kUnavailable);
  model_.Release();
  drain.join();
  done.WaitForNotification();
  EXPECT_TRUE(ok);
}

TEST_F(TaggerTest, CutsItsCallsOffWhenTheDrainTimesOut) {
  model_.Hold();
  const std::string audio = Samples(0.1, 0.5F);
  absl::Status status;
  tagger_->Tag(Request(audio), [&](absl::StatusOr<TagResult> result) { status = result.status(); });
  model_.WaitForPasses(1);
  EXPECT_FALSE(tagger_->Drain(clock_.Now()));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace culturetag
