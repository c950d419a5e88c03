#include "service/proto_convert.h"

#include "absl/strings/str_cat.h"
#include "base/error_details.h"
#include "base/sample_time.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

void ToProto(absl::Duration duration, google::protobuf::Duration& proto) {
  const int64_t seconds = absl::IDivDuration(duration, absl::Seconds(1), &duration);
  proto.set_seconds(seconds);
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

void ToProto(const ModelSpec& model, const HeadTags& tags, v1::HeadResult& proto) {
  const HeadSpec& head = model.heads[static_cast<size_t>(tags.head)];
  proto.set_head(head.name);
  proto.mutable_tags()->Reserve(static_cast<int>(tags.tags.size()));
  for (const ScoredLabel& scored : tags.tags) {
    const LabelSpec& label = head.labels[static_cast<size_t>(scored.label)];
    v1::Tag& tag = *proto.add_tags();
    tag.set_label(label.name);
    tag.set_category(label.category);
    tag.set_score(scored.score);
  }
}

// Of v1::Pcm and v1::PcmFormat alike. `field` is what an error blames.
template <typename Proto>
absl::StatusOr<PcmFormat> PcmFromProto(const Proto& proto, absl::string_view field) {
  PcmFormat format;
  switch (proto.encoding()) {
    case v1::ENCODING_S16LE:
      format.encoding = PcmEncoding::kS16Le;
      break;
    case v1::ENCODING_F32LE:
      format.encoding = PcmEncoding::kF32Le;
      break;
    default:
      return InvalidField(absl::StrCat(field, ".encoding"), absl::StrCat("encoding is ", proto.encoding(),
                                                                         "; it must be ENCODING_S16LE or ENCODING_F32LE"));
  }
  format.sample_rate_hz = proto.sample_rate_hz();
  format.channel_count = proto.channel_count();
  return format;
}

absl::StatusOr<Priority> FromProto(v1::Priority priority) {
  switch (priority) {
    case v1::PRIORITY_UNSPECIFIED:
    case v1::PRIORITY_INTERACTIVE:
      return Priority::kInteractive;
    case v1::PRIORITY_BULK:
      return Priority::kBulk;
    default:
      return InvalidField("priority", absl::StrCat("priority is ", static_cast<int>(priority),
                                                   "; it must be PRIORITY_INTERACTIVE or PRIORITY_BULK"));
  }
}

absl::Status FillAudio(const v1::Audio& proto, AudioBytes& audio) {
  switch (proto.source_case()) {
    case v1::Audio::kEncoded:
      audio.audio = proto.encoded();
      return audio.audio.empty() ? InvalidField("audio.encoded", "the audio file has no bytes") : absl::OkStatus();
    case v1::Audio::kPcm: {
      CULTURETAG_ASSIGN_OR_RETURN(audio.pcm, PcmFromProto(proto.pcm(), "audio.pcm"));
      audio.audio = proto.pcm().samples();
      return absl::OkStatus();
    }
    default:
      return InvalidField("audio", "there is no audio; set `encoded`, the bytes of a file, or `pcm`");
  }
}

// Of v1::TagRequest and v1::TagStreamConfig alike.
template <typename Proto>
void FillTagOptions(const Proto& proto, TagOptions& options) {
  options.heads.assign(proto.heads().begin(), proto.heads().end());
  options.top_k = proto.top_k();
  options.min_score = proto.min_score();
  options.include_windows = proto.include_windows();
}

// Of v1::TagResponse and v1::EmbedResponse alike.
template <typename Proto>
void FillResult(const CallResult& result, Proto& proto) {
  proto.set_model(result.model->name);
  proto.set_model_version(result.model->version);
  v1::AudioInfo& audio = *proto.mutable_audio();
  ToProto(result.audio_duration, *audio.mutable_duration());
  audio.set_sample_rate_hz(result.source.sample_rate_hz);
  audio.set_channel_count(result.source.channel_count);
  audio.set_format(result.source.format);
  audio.set_window_count(static_cast<int32_t>(result.window_count));
}

}  // namespace

absl::StatusOr<TagRequest> FromProto(const v1::TagRequest& proto) {
  TagRequest request;
  CULTURETAG_RETURN_IF_ERROR(FillAudio(proto.audio(), request));
  CULTURETAG_ASSIGN_OR_RETURN(request.priority, FromProto(proto.priority()));
  request.model = proto.model();
  FillTagOptions(proto, request);
  return request;
}

absl::StatusOr<EmbedRequest> FromProto(const v1::EmbedRequest& proto) {
  EmbedRequest request;
  CULTURETAG_RETURN_IF_ERROR(FillAudio(proto.audio(), request));
  request.model = proto.model();
  request.include_windows = proto.include_windows();
  return request;
}

absl::StatusOr<StreamRequest> FromProto(const v1::TagStreamConfig& proto) {
  StreamRequest request;
  const absl::StatusOr<Priority> priority = FromProto(proto.priority());
  if (!priority.ok()) return WithFieldPrefix(priority.status(), "config");
  request.priority = *priority;
  request.model = proto.model();
  FillTagOptions(proto, request);
  if (proto.has_pcm()) {
    CULTURETAG_ASSIGN_OR_RETURN(request.pcm, PcmFromProto(proto.pcm(), "config.pcm"));
  }
  return request;
}

void ToProto(const TagResult& result, v1::TagResponse& proto) {
  FillResult(result, proto);
  for (const HeadTags& head : result.heads) ToProto(*result.model, head, *proto.add_heads());
  for (const WindowTags& window : result.windows) ToProto(*result.model, window, *proto.add_windows());
  v1::Timing& timing = *proto.mutable_timing();
  ToProto(result.timing.decode, *timing.mutable_decode());
  ToProto(result.timing.queue, *timing.mutable_queue());
  ToProto(result.timing.inference, *timing.mutable_inference());
  ToProto(result.timing.total, *timing.mutable_total());
}

void ToProto(const EmbedResult& result, v1::EmbedResponse& proto) {
  FillResult(result, proto);
  proto.set_layer_count(result.model->layer_count);
  proto.set_hidden_size(result.model->hidden_size);
  proto.mutable_values()->Add(result.values.begin(), result.values.end());
  for (const WindowEmbedding& window : result.windows) {
    v1::WindowEmbedding& out = *proto.add_windows();
    ToProto(window.start_offset, *out.mutable_start_offset());
    ToProto(window.duration, *out.mutable_duration());
    out.mutable_values()->Add(window.values.begin(), window.values.end());
  }
}

void ToProto(const ModelSpec& model, const WindowTags& window, v1::WindowResult& proto) {
  ToProto(window.start_offset, *proto.mutable_start_offset());
  ToProto(window.duration, *proto.mutable_duration());
  for (const HeadTags& head : window.heads) ToProto(model, head, *proto.add_heads());
}

void ToProto(const ServedModel& model, v1::Model& proto) {
  const ModelSpec& spec = *model.spec;
  proto.set_name(spec.name);
  proto.set_version(spec.version);
  proto.set_backbone(spec.backbone);
  proto.set_license(spec.license);
  proto.set_description(spec.description);
  proto.set_sample_rate_hz(spec.sample_rate_hz);
  ToProto(SamplesToDuration(spec.window_samples, spec.sample_rate_hz), *proto.mutable_window());
  proto.set_layer_count(spec.layer_count);
  proto.set_hidden_size(spec.hidden_size);
  proto.set_device(model.device);
  proto.set_precision(model.precision);
  for (const HeadSpec& head_spec : spec.heads) {
    v1::Head& head = *proto.add_heads();
    head.set_name(head_spec.name);
    head.set_title(head_spec.title);
    head.set_dataset(head_spec.dataset);
    for (const LabelSpec& label_spec : head_spec.labels) {
      v1::Label& label = *head.add_labels();
      label.set_name(label_spec.name);
      label.set_category(label_spec.category);
      label.set_untrained_reason(label_spec.untrained_reason);
    }
    for (const auto& [name, value] : head_spec.metrics) (*head.mutable_metrics())[name] = value;
  }
}

}  // namespace culturetag
