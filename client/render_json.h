// Answers and failures as JSON for programs. The shapes are part of the client's interface and stand in its --help:
// members may be added, but none is ever left out, renamed or given another type. What isn't valid UTF-8 becomes
// U+FFFD.
//
// Pure functions. Each returns one JSON value on one line, without a line break at its end.
#ifndef CULTURETAG_CLIENT_RENDER_JSON_H_
#define CULTURETAG_CLIENT_RENDER_JSON_H_

#include <string>

#include "absl/strings/string_view.h"
#include "client/failure.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

// What TagsJson and FailureJson write, and what ModelsJson writes, described for people: the text for --help.
extern const char kTagsJsonShape[];
extern const char kModelsJsonShape[];

// One file's tags: an object.
std::string TagsJson(absl::string_view file, const v1::TagResponse& response);

// One window's tags: an object, as in the `windows` of TagsJson.
std::string WindowJson(const v1::WindowResult& window);

// How TagsJson writes the file's name, read back: what tells whether a file's tags are there.
std::string FileNameInJson(absl::string_view file);

// The member `file` of an object of TagsJson's; empty where `line` is no such object.
std::string FileOfJson(absl::string_view line);

// Why one file has no tags: an object with the members `file` and `error`.
std::string FailureJson(absl::string_view file, const Failure& failure);

// All models with all their labels: an array.
std::string ModelsJson(const v1::ListModelsResponse& response);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_RENDER_JSON_H_
