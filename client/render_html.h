// One track's tags as a web page that needs nothing else: no server, no network, no other file.
//
// A pure function.
#ifndef CULTURETAG_CLIENT_RENDER_HTML_H_
#define CULTURETAG_CLIENT_RENDER_HTML_H_

#include <string>

#include "absl/strings/string_view.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

// A player, the waveform, and for each head the `tag_count` tags that are the best of the whole (0: all) over time. The
// page carries `audio`, the bytes of the file, and draws the waveform from it; where the browser can't decode it, the
// tags are there all the same. `response` has all tags of all windows.
std::string TagsHtml(absl::string_view file, absl::string_view audio, const v1::TagResponse& response, int tag_count);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_RENDER_HTML_H_
