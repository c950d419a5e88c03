// Tags over time, drawn with characters.
//
// A pure function, for people, like those of render_text.h.
#ifndef CULTURETAG_CLIENT_RENDER_TIMELINE_H_
#define CULTURETAG_CLIENT_RENDER_TIMELINE_H_

#include <string>

#include "client/console.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

// For each head, a row for each of the `tag_count` tags that are the best of the whole (0: all): one character for each
// window in order of time, the taller the higher the tag's score there. Where the terminal is too narrow, a character
// stands for the highest of several windows. `response` has all tags of all windows.
std::string TimelineText(const v1::TagResponse& response, int tag_count, const TextStyle& style);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_RENDER_TIMELINE_H_
