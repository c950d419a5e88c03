// The whole pipeline of a request, without any wire format: bytes in, tags out (DESIGN.md, section 1).
//
// Thread-safe. The tagger must outlive its calls: Drain waits for them. Models, pool, batcher, clock and metrics must
// outlive the tagger.
#ifndef CULTURETAG_SERVICE_TAGGER_H_
#define CULTURETAG_SERVICE_TAGGER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "audio/decoder.h"
#include "base/clock.h"
#include "base/worker_pool.h"
#include "batching/window_batcher.h"
#include "inference/tagging_model.h"
#include "labeling/aggregator.h"
#include "observability/metrics.h"

namespace culturetag {

struct TagRequest {
  absl::string_view audio;        // must stay valid until the call's callback
  absl::optional<PcmFormat> pcm;  // the form of `audio`; absent: an encoded file
  std::string model;              // empty: the default one
  std::vector<std::string> heads;  // empty: all
  int top_k = 0;
  float min_score = 0;
  bool include_windows = false;
  std::string client;             // who asks: clients share the device by weight
  Priority priority = Priority::kInteractive;
  absl::Time deadline = absl::InfiniteFuture();  // on the tagger's clock
};

struct WindowTags {
  absl::Duration start_offset;
  absl::Duration duration;
  std::vector<HeadTags> heads;
};

struct TagResult {
  const ModelSpec* model = nullptr;  // lives as long as the tagger
  SourceInfo source;
  absl::Duration audio_duration;
  int window_count = 0;
  std::vector<HeadTags> heads;
  std::vector<WindowTags> windows;  // if asked for
  struct {
    absl::Duration decode, queue, inference, total;
  } timing;
};

class Tagger {
 public:
  struct Options {
    absl::Duration max_audio_duration = absl::Minutes(15);
  };
  using Callback = absl::AnyInvocable<void(absl::StatusOr<TagResult>) &&>;

  // One request on its way.
  class Call {
   public:
    virtual ~Call() = default;
    // Gives the call up: it ends with `status` as soon as its decoder stops, and its waiting windows leave the queue.
    // Counted as `reason` if the device runs a window of it. No effect on a call that has ended.
    virtual void Cancel(WasteReason reason, absl::Status status) = 0;
  };

  // `models`, of which the first is the default, in the order in which `batcher` has them.
  Tagger(const Options& options, std::vector<TaggingModel*> models, WorkerPool& decoders, WindowBatcher& batcher, Clock& clock,
         Metrics& metrics);

  // Starts tagging `request`. Never blocks. `callback` is called exactly once, on any thread, perhaps before Tag returns.
  // Its status is one of the error table in DESIGN.md, section 2; an INVALID_ARGUMENT names its field (base/error_details.h).
  std::shared_ptr<Call> Tag(TagRequest request, Callback callback) ABSL_LOCKS_EXCLUDED(mutex_);

  // Refuses new requests from now on with UNAVAILABLE, and blocks until those accepted have ended or `deadline` has passed,
  // when what is left ends with UNAVAILABLE, too: at once, but for a block of audio that a decoder is at. Returns whether
  // nothing was cut off.
  bool Drain(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::vector<TaggingModel*>& models() const { return models_; }

 private:
  class ActiveCall;

  absl::StatusOr<int> FindModel(absl::string_view name) const;
  bool Enter() ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_);
  bool NoneActive() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return active_calls_ == 0; }

  const Options options_;
  const std::vector<TaggingModel*> models_;
  std::atomic<bool> cut_off_{false};  // the time for draining is over
  WorkerPool& decoders_;
  WindowBatcher& batcher_;
  Clock& clock_;
  Metrics& metrics_;

  absl::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  int active_calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_TAGGER_H_
