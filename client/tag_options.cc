#include "client/tag_options.h"

namespace culturetag::client {
namespace {

// TagRequest and TagStreamConfig name the same options alike.
template <typename Message>
Message WithOptions(const TagOptions& options) {
  Message message;
  message.set_model(options.model);
  message.mutable_heads()->Add(options.heads.begin(), options.heads.end());
  message.set_top_k(options.top_k);
  message.set_min_score(options.min_score);
  message.set_include_windows(options.include_windows);
  message.set_priority(options.priority);
  return message;
}

}  // namespace

v1::TagStreamConfig MakeStreamConfig(const TagOptions& options) { return WithOptions<v1::TagStreamConfig>(options); }

v1::TagRequest MakeTagRequest(const TagOptions& options) { return WithOptions<v1::TagRequest>(options); }

}  // namespace culturetag::client
