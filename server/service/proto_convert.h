// Between the wire's messages and the server's own types. Pure functions; thread-safe.
#ifndef CULTURETAG_SERVICE_PROTO_CONVERT_H_
#define CULTURETAG_SERVICE_PROTO_CONVERT_H_

#include "absl/status/statusor.h"
#include "culturetag/v1/tagging.pb.h"
#include "inference/tagging_model.h"
#include "service/tagger.h"

namespace culturetag {

// A request without its deadline and its client. Its audio is a view of `proto`, which must outlive it. InvalidField("audio" |
// "audio.encoded" | "audio.pcm.encoding" | "priority") for what is missing, empty or unknown; everything else is the
// tagger's to check.
absl::StatusOr<TagRequest> FromProto(const v1::TagRequest& proto);
absl::StatusOr<EmbedRequest> FromProto(const v1::EmbedRequest& proto);
// Likewise; InvalidField("config.pcm.encoding" | "config.priority").
absl::StatusOr<StreamRequest> FromProto(const v1::TagStreamConfig& proto);

// Fill an empty `proto`. `result.model` gives the names.
void ToProto(const TagResult& result, v1::TagResponse& proto);
void ToProto(const EmbedResult& result, v1::EmbedResponse& proto);
void ToProto(const ModelSpec& model, const WindowTags& window, v1::WindowResult& proto);

// Fills an empty `proto` with what the manifest and the device say of `model`.
void ToProto(const ServedModel& model, v1::Model& proto);

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_PROTO_CONVERT_H_
