#include "client/tag_options.h"

#include <algorithm>

namespace culturetag::client {
namespace {

// TagRequest and TagStreamConfig name the same options alike.
template <typename Message>
Message WithOptions(const TagOptions& options) {
  Message message;
  message.set_model(options.model);
  message.mutable_heads()->Add(options.heads.begin(), options.heads.end());
  if (!NeedsEveryTag(options)) {
    message.set_top_k(options.top_k);
    message.set_min_score(options.min_score);
  }
  message.set_include_windows(options.include_windows || NeedsEveryTag(options));
  message.set_priority(options.priority);
  return message;
}

// As the server does by `top_k` and `min_score`. Tags are sorted.
void Cut(const TagOptions& options, google::protobuf::RepeatedPtrField<v1::HeadResult>& heads) {
  for (v1::HeadResult& head : heads) {
    int kept = options.top_k == 0 ? head.tags_size() : std::min(options.top_k, head.tags_size());
    while (kept > 0 && head.tags(kept - 1).score() < options.min_score) --kept;
    head.mutable_tags()->DeleteSubrange(kept, head.tags_size() - kept);
  }
}

}  // namespace

bool NeedsEveryTag(const TagOptions& options) { return options.timeline || !options.html.empty(); }

v1::TagResponse PrintedPart(const TagOptions& options, v1::TagResponse response) {
  if (!NeedsEveryTag(options)) return response;
  if (!options.include_windows) response.clear_windows();
  Cut(options, *response.mutable_heads());
  for (v1::WindowResult& window : *response.mutable_windows()) Cut(options, *window.mutable_heads());
  return response;
}

v1::TagStreamConfig MakeStreamConfig(const TagOptions& options) { return WithOptions<v1::TagStreamConfig>(options); }

v1::TagRequest MakeTagRequest(const TagOptions& options) { return WithOptions<v1::TagRequest>(options); }

}  // namespace culturetag::client
