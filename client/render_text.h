// Answers and failures as text for people. Pure functions; the text isn't parsed by anybody and may change with any
// version, unlike the JSON of render_json.h.
#ifndef CULTURETAG_CLIENT_RENDER_TEXT_H_
#define CULTURETAG_CLIENT_RENDER_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "client/console.h"
#include "client/failure.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

// One file's tags: a heading, then for each head its tags with category and score, best first, then, if the response
// has them, the tags of each window.
std::string TagsText(absl::string_view file, const v1::TagResponse& response, const TextStyle& style);

// One window's tags on one line, with its line break: where it starts, then each head's tags.
std::string WindowText(const v1::WindowResult& window, const TextStyle& style);

// What each model is and which heads it has; `with_labels`: with their labels by category, too.
std::string ModelsText(const v1::ListModelsResponse& response, bool with_labels, const TextStyle& style);

// The line for standard error, with its line break. `subject` says whose failure it is: a
// file, or a command.
std::string FailureText(absl::string_view subject, const Failure& failure);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_RENDER_TEXT_H_
