#include "service/proto_convert.h"

#include "base/error_details.h"
#include "fakes/fake_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::ElementsAre;

TEST(ProtoConvertTest, TakesEveryFieldOfARequestAndLeavesTheAudioWhereItIs) {
  v1::TagRequest proto;
  proto.mutable_audio()->set_encoded("RIFF");
  proto.set_model("demo");
  proto.add_heads("makam");
  proto.add_heads("fma");
  proto.set_top_k(3);
  proto.set_min_score(0.25F);
  proto.set_include_windows(true);
  proto.set_priority(v1::PRIORITY_BULK);
  const auto request = FromProto(proto);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->audio.data(), proto.audio().encoded().data());
  EXPECT_FALSE(request->pcm.has_value());
  EXPECT_EQ(request->model, "demo");
  EXPECT_THAT(request->heads, ElementsAre("makam", "fma"));
  EXPECT_EQ(request->top_k, 3);
  EXPECT_EQ(request->min_score, 0.25F);
  EXPECT_TRUE(request->include_windows);
  EXPECT_EQ(request->priority, Priority::kBulk);
}

TEST(ProtoConvertTest, TakesTheDescriptionOfPcm) {
  v1::TagRequest proto;
  v1::Pcm& pcm = *proto.mutable_audio()->mutable_pcm();
  pcm.set_encoding(v1::ENCODING_F32LE);
  pcm.set_sample_rate_hz(44100);
  pcm.set_channel_count(2);
  pcm.set_samples("12345678");
  const auto request = FromProto(proto);
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_TRUE(request->pcm.has_value());
  EXPECT_EQ(request->pcm->encoding, PcmEncoding::kF32Le);
  EXPECT_EQ(request->pcm->sample_rate_hz, 44100);
  EXPECT_EQ(request->pcm->channel_count, 2);
  EXPECT_EQ(request->audio.data(), pcm.samples().data());
  EXPECT_EQ(request->priority, Priority::kInteractive);
}

TEST(ProtoConvertTest, NamesTheFieldThatIsMissingOrUnknown) {
  v1::TagRequest proto;
  EXPECT_EQ(FieldOf(FromProto(proto).status()), "audio");
  proto.mutable_audio()->set_encoded("");
  EXPECT_EQ(FieldOf(FromProto(proto).status()), "audio.encoded");
  proto.mutable_audio()->mutable_pcm();
  EXPECT_EQ(FieldOf(FromProto(proto).status()), "audio.pcm.encoding");
  proto.mutable_audio()->mutable_pcm()->set_encoding(static_cast<v1::Encoding>(77));
  EXPECT_EQ(FieldOf(FromProto(proto).status()), "audio.pcm.encoding");
  proto.mutable_audio()->set_encoded("RIFF");
  proto.set_priority(static_cast<v1::Priority>(9));
  EXPECT_EQ(FieldOf(FromProto(proto).status()), "priority");
}

TEST(ProtoConvertTest, FillsAResponse) {
  TagResult result;
  result.model = std::make_shared<const ModelSpec>(FakeSpec());
  result.source = {44100, 2, "FLAC/PCM_16"};
  result.audio_duration = absl::Milliseconds(7250);
  result.window_count = 2;
  result.heads = {{0, {{2, 0.75F}, {0, 0.5F}}}};
  result.windows = {{absl::Milliseconds(2250), absl::Seconds(5), {{1, {{1, 0.25F}}}}}};
  result.timing.decode = absl::Milliseconds(1);
  result.timing.queue = absl::Milliseconds(2);
  result.timing.inference = absl::Milliseconds(3);
  result.timing.total = absl::Seconds(4);
  v1::TagResponse proto;
  ToProto(result, proto);
  EXPECT_EQ(proto.model(), "fake");
  EXPECT_EQ(proto.model_version(), "1.2.3");
  EXPECT_EQ(proto.audio().duration().seconds(), 7);
  EXPECT_EQ(proto.audio().duration().nanos(), 250000000);
  EXPECT_EQ(proto.audio().sample_rate_hz(), 44100);
  EXPECT_EQ(proto.audio().channel_count(), 2);
  EXPECT_EQ(proto.audio().format(), "FLAC/PCM_16");
  EXPECT_EQ(proto.audio().window_count(), 2);
  ASSERT_EQ(proto.heads_size(), 1);
  EXPECT_EQ(proto.heads(0).head(), "makam");
  ASSERT_EQ(proto.heads(0).tags_size(), 2);
  EXPECT_EQ(proto.heads(0).tags(0).label(), "Düyek");
  EXPECT_EQ(proto.heads(0).tags(0).category(), "usul");
  EXPECT_EQ(proto.heads(0).tags(0).score(), 0.75F);
  ASSERT_EQ(proto.windows_size(), 1);
  EXPECT_EQ(proto.windows(0).start_offset().seconds(), 2);
  EXPECT_EQ(proto.windows(0).duration().seconds(), 5);
  EXPECT_EQ(proto.windows(0).heads(0).tags(0).label(), "Folk");
  EXPECT_EQ(proto.timing().queue().nanos(), 2000000);
  EXPECT_EQ(proto.timing().total().seconds(), 4);
}

TEST(ProtoConvertTest, DescribesAModel) {
  v1::Model proto;
  ToProto(ServedModel(FakeModel(), 0), proto);
  EXPECT_EQ(proto.name(), "fake");
  EXPECT_EQ(proto.device(), "fake:0");
  EXPECT_EQ(proto.precision(), "fp32");
  EXPECT_EQ(proto.window().nanos(), 100000000);
  ASSERT_EQ(proto.heads_size(), 2);
  EXPECT_EQ(proto.heads(0).title(), "Turkish makam");
  EXPECT_EQ(proto.heads(0).metrics().at("map"), 0.5);
  EXPECT_EQ(proto.heads(0).labels(2).untrained_reason(), "can't be rendered");
}

}  // namespace
}  // namespace culturetag
