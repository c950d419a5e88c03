// Any bytes as a TagRequest on its way through all that the server does, with a fake for the model: protobuf, conversion,
// checks of the options, decoding, windows, tags, and the response's protobuf.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "audio/window_reader.h"
#include "base/error_details.h"
#include "base/sample_time.h"
#include "base/status_macros.h"
#include "culturetag/v1/tagging.pb.h"
#include "fakes/fake_model.h"
#include "fuzz_pipeline.h"
#include "ogg_checksums.h"
#include "service/proto_convert.h"
#include "service/window_sink.h"

namespace culturetag {
namespace {

// What Tagger does with a request's audio (service/tagger.cc), without its threads and its queue: those would make a run
// depend on more than its bytes.
absl::Status Score(const TagRequest& request, WindowSink& sink, FakeModel& model, CallResult& result) {
  const ModelSpec& spec = model.spec();
  auto decoder = request.pcm ? OpenPcm(*request.pcm, request.audio) : OpenEncoded(request.audio);
  if (!decoder.ok()) return decoder.status();
  const WindowShape shape = {spec.window_samples, spec.hop_samples, spec.min_clip_samples};
  CULTURETAG_ASSIGN_OR_RETURN(const std::unique_ptr<WindowReader> reader,
                              WindowReader::Create({spec.sample_rate_hz, shape, absl::Seconds(2)}, *std::move(decoder), Clock::Real()));
  for (bool more = true; more;) {
    std::vector<Window> windows;
    CULTURETAG_ASSIGN_OR_RETURN(more, reader->Read(windows));
    for (const Window& window : windows) {
      CULTURETAG_ASSIGN_OR_RETURN(const auto batch, model.Stage({absl::MakeConstSpan(window.samples)}));
      CULTURETAG_ASSIGN_OR_RETURN(std::vector<WindowOutput> outputs, model.Run(*batch, sink.wants_hidden_states()));
      const auto length = static_cast<int64_t>(window.samples.size());
      sink.Take(SamplesToDuration(window.start, spec.sample_rate_hz), SamplesToDuration(length, spec.sample_rate_hz),
                std::move(outputs.front()));
      ++result.window_count;
    }
  }
  result.source = reader->source();
  result.audio_duration = reader->duration();
  return absl::OkStatus();
}

absl::StatusOr<TagResult> Tag(const TagRequest& request) {
  static FakeModel model;
  model.ForgetPasses();
  absl::StatusOr<TagResult> outcome;
  const auto sink = MakeTagSink(request, [&outcome](absl::StatusOr<TagResult> result) { outcome = std::move(result); });
  CULTURETAG_RETURN_IF_ERROR(sink->Prepare(model.spec()));
  CallResult result;
  result.model = std::make_shared<const ModelSpec>(model.spec());
  CULTURETAG_RETURN_IF_ERROR(WithFieldPrefix(Score(request, *sink, model, result), "audio"));
  sink->End(std::move(result));
  return outcome;
}

void CheckResponse(const v1::TagRequest& request, const TagResult& result) {
  v1::TagResponse response;
  ToProto(result, response);
  Require(response.audio().window_count() > 0);
  Require(response.windows_size() == (request.include_windows() ? response.audio().window_count() : 0));
  for (const v1::HeadResult& head : response.heads()) {
    Require(request.top_k() == 0 || head.tags_size() <= request.top_k());
  }
  Require(!response.SerializeAsString().empty());
}

}  // namespace
}  // namespace culturetag

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Every other mutation is one of the audio inside the message, whose length fields it would break from outside.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  culturetag::v1::TagRequest request;
  if (seed % 2 == 0 || !request.ParseFromArray(data, static_cast<int>(size)) || !request.has_audio()) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  culturetag::v1::Audio& audio = *request.mutable_audio();
  std::string& bytes = audio.has_pcm() ? *audio.mutable_pcm()->mutable_samples() : *audio.mutable_encoded();
  constexpr size_t kLengthFields = 16;
  const size_t around = request.ByteSizeLong() - bytes.size() + kLengthFields;
  if (around + bytes.size() >= max_size) return LLVMFuzzerMutate(data, size, max_size);
  const size_t before = bytes.size();
  bytes.resize(max_size - around);
  auto* const audio_data = reinterpret_cast<uint8_t*>(bytes.data());
  bytes.resize(LLVMFuzzerMutate(audio_data, before, bytes.size()));
  culturetag::RepairOggChecksums(audio_data, bytes.size());
  request.SerializeToArray(data, static_cast<int>(max_size));
  return request.ByteSizeLong();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  culturetag::v1::TagRequest proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return 0;  // gRPC answers by itself
  const absl::StatusOr<culturetag::TagRequest> request = culturetag::FromProto(proto);
  absl::Status status = request.status();
  if (request.ok()) {
    const absl::StatusOr<culturetag::TagResult> result = culturetag::Tag(*request);
    status = result.status();
    if (result.ok()) culturetag::CheckResponse(proto, *result);
  }
  const bool names_field = absl::IsInvalidArgument(status) && culturetag::FieldOf(status).has_value();
  culturetag::Require(status.ok() || absl::IsNotFound(status) || names_field);
  return 0;
}
