// Answers Tag and Embed from memory where the same was asked before, and has identical calls that come together wait for one.
//
// Two calls are the same if they have the same bytes of audio, by digest, in the same form, want the same version of the same
// model and the same options. A hit costs the digest and no device time, and says so: its timing has a total and nothing else.
//
// The first of identical calls leads: its run is the only one that the tagger sees. The others, if they have its priority,
// follow: they get its result, or its INVALID_ARGUMENT or NOT_FOUND, which is what they would have got. Any other error is the
// leader's own, its deadline or its client's cancellation for one; the next in line then leads. No error is kept.
//
// Callers authenticate and count against quotas before they come here, and are charged for a hit as for a run.
//
// Thread-safe. Never blocks, but for the digest. Tagger, clock and metrics must outlive it, and it its calls.
#ifndef CULTURETAG_SERVICE_CACHING_TAGGER_H_
#define CULTURETAG_SERVICE_CACHING_TAGGER_H_

#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "observability/metrics.h"
#include "service/tagger.h"

namespace culturetag {

class CachingTagger {
 public:
  using DigestFunction = Sha256Digest (*)(absl::string_view);

  // Keeps results of at most `max_bytes` in all; with 0 every call goes to `tagger` as it is. `digest` is Sha256Of but in tests.
  CachingTagger(int64_t max_bytes, DigestFunction digest, Tagger& tagger, Clock& clock, Metrics& metrics);
  ~CachingTagger();

  // As the tagger's.
  std::shared_ptr<Tagger::Call> Tag(TagRequest request, Tagger::TagCallback callback);
  std::shared_ptr<Tagger::Call> Embed(EmbedRequest request, Tagger::EmbedCallback callback);

 private:
  struct Shared;  // what both methods share
  template <typename Request, typename Result, typename Callback>
  class Lane;     // the calls of one method

  // Chooses the version that the call is of. False if there is no such model, which is the tagger's to say.
  bool Pin(CallOptions& options) const;

  Tagger& tagger_;
  const std::unique_ptr<Shared> shared_;  // null: nothing is kept
  std::unique_ptr<Lane<TagRequest, TagResult, Tagger::TagCallback>> tag_;
  std::unique_ptr<Lane<EmbedRequest, EmbedResult, Tagger::EmbedCallback>> embed_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_CACHING_TAGGER_H_
