#include "client/render_json.h"

#include <array>
#include <charconv>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

namespace culturetag::client {
namespace {

// Members keep the order in which they are written here.
using Json = nlohmann::ordered_json;

// The decimal fraction that stands for `value` in JSON is the shortest that reads back as the same float: 0.87 rather
// than the 0.8700000047683716 that it is as a double.
double ShortestDouble(float value) {
  std::array<char, 32> digits;
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  double shortest = 0;
  std::from_chars(digits.data(), end, shortest);
  return shortest;
}

double Seconds(const google::protobuf::Duration& duration) {
  // One rounding, so that 12.345678901 s print as that.
  return static_cast<double>(duration.seconds() * 1'000'000'000 + duration.nanos()) / 1e9;
}

Json HeadsJson(const google::protobuf::RepeatedPtrField<v1::HeadResult>& heads) {
  Json array = Json::array();
  for (const v1::HeadResult& head : heads) {
    Json tags = Json::array();
    for (const v1::Tag& tag : head.tags()) {
      tags.push_back({{"label", tag.label()}, {"category", tag.category()}, {"score", ShortestDouble(tag.score())}});
    }
    array.push_back({{"head", head.head()}, {"tags", std::move(tags)}});
  }
  return array;
}

Json WindowObject(const v1::WindowResult& window) {
  return {{"start_seconds", Seconds(window.start_offset())},
          {"duration_seconds", Seconds(window.duration())},
          {"heads", HeadsJson(window.heads())}};
}

Json WindowsJson(const v1::TagResponse& response) {
  Json array = Json::array();
  for (const v1::WindowResult& window : response.windows()) array.push_back(WindowObject(window));
  return array;
}

Json ModelHeadJson(const v1::Head& head) {
  Json labels = Json::array();
  for (const v1::Label& label : head.labels()) {
    labels.push_back(
        {{"name", label.name()}, {"category", label.category()}, {"untrained_reason", label.untrained_reason()}});
  }
  // A protobuf map has no order, and two calls shall print the same.
  Json metrics = Json::object();
  for (const auto& [metric, value] : std::map<std::string, double>(head.metrics().begin(), head.metrics().end())) {
    metrics[metric] = value;
  }
  return {{"name", head.name()},
          {"title", head.title()},
          {"dataset", head.dataset()},
          {"metrics", std::move(metrics)},
          {"labels", std::move(labels)}};
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

const char kTagsJsonShape[] = R"(An array with one object for each file, in the order given; with --jsonl,
an object a line, as they finish:
  {"file", "model", "model_version",
   "audio": {"duration_seconds", "sample_rate_hz", "channel_count", "format", "window_count"},
   "heads": [{"head", "tags": [{"label", "category", "score"}]}],
   "windows": [{"start_seconds", "duration_seconds", "heads": as above}],
   "timing_seconds": {"decode", "queue", "inference", "total"}}
"windows" is empty without --windows. In place of a file that failed:
  {"file", "error": {"code", "message", "field", "retry_after_seconds"}}
"code" is the name of a gRPC status code; "field" and "retry_after_seconds" may be null. With --live, each window is
an object of its own, like those of "windows", and the object for the whole comes last.)";

const char kModelsJsonShape[] = R"(An array with one object for each model, the default one first:
  {"name", "version", "backbone", "license", "description", "sample_rate_hz", "window_seconds",
   "layer_count", "hidden_size", "device", "precision",
   "heads": [{"name", "title", "dataset", "metrics": {NAME: value},
              "labels": [{"name", "category", "untrained_reason"}]}]}
"untrained_reason" is empty for a label that the head was trained on.)";

std::string TagsJson(absl::string_view file, const v1::TagResponse& response) {
  const v1::AudioInfo& audio = response.audio();
  const v1::Timing& timing = response.timing();
  return Dump({{"file", std::string(file)},
               {"model", response.model()},
               {"model_version", response.model_version()},
               {"audio",
                {{"duration_seconds", Seconds(audio.duration())},
                 {"sample_rate_hz", audio.sample_rate_hz()},
                 {"channel_count", audio.channel_count()},
                 {"format", audio.format()},
                 {"window_count", audio.window_count()}}},
               {"heads", HeadsJson(response.heads())},
               {"windows", WindowsJson(response)},
               {"timing_seconds",
                {{"decode", Seconds(timing.decode())},
                 {"queue", Seconds(timing.queue())},
                 {"inference", Seconds(timing.inference())},
                 {"total", Seconds(timing.total())}}}});
}

std::string WindowJson(const v1::WindowResult& window) { return Dump(WindowObject(window)); }

std::string FileNameInJson(absl::string_view file) {
  // What a reader of the dumped string gets: the bytes that aren't UTF-8 are replaced by then.
  return Json::parse(Dump(std::string(file))).get<std::string>();
}

std::string FileOfJson(absl::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("file") || !json["file"].is_string()) return "";
  return json["file"].get<std::string>();
}

std::string FailureJson(absl::string_view file, const Failure& failure) {
  Json field = nullptr;
  if (!failure.field.empty()) field = failure.field;
  Json retry_after = nullptr;
  if (failure.retry_after.has_value()) retry_after = absl::ToDoubleSeconds(*failure.retry_after);
  return Dump({{"file", std::string(file)},
               {"error",
                {{"code", failure.code},
                 {"message", failure.message},
                 {"field", std::move(field)},
                 {"retry_after_seconds", std::move(retry_after)}}}});
}

std::string ModelsJson(const v1::ListModelsResponse& response) {
  Json models = Json::array();
  for (const v1::Model& model : response.models()) {
    Json heads = Json::array();
    for (const v1::Head& head : model.heads()) heads.push_back(ModelHeadJson(head));
    models.push_back({{"name", model.name()},
                      {"version", model.version()},
                      {"backbone", model.backbone()},
                      {"license", model.license()},
                      {"description", model.description()},
                      {"sample_rate_hz", model.sample_rate_hz()},
                      {"window_seconds", Seconds(model.window())},
                      {"layer_count", model.layer_count()},
                      {"hidden_size", model.hidden_size()},
                      {"device", model.device()},
                      {"precision", model.precision()},
                      {"heads", std::move(heads)}});
  }
  return Dump(models);
}

}  // namespace culturetag::client
