// The whole pipeline of a request, without any wire format: bytes in, tags out (DESIGN.md, section 1).
//
// Thread-safe. The tagger must outlive its calls: Drain waits for them. Pool, batcher, clock and metrics must outlive the
// tagger.
#ifndef CULTURETAG_SERVICE_TAGGER_H_
#define CULTURETAG_SERVICE_TAGGER_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "audio/decoder.h"
#include "base/byte_budget.h"
#include "base/clock.h"
#include "base/thread_group.h"
#include "base/worker_pool.h"
#include "batching/window_batcher.h"
#include "inference/tagging_model.h"
#include "labeling/aggregator.h"
#include "observability/metrics.h"
#include "service/model_registry.h"

namespace culturetag {

// Whose call it is, with which model, and how it ranks against others.
struct CallOptions {
  std::string model;  // empty: the default one
  // Instead of `model`: what FindModel gave, for several calls that must all get one version.
  std::shared_ptr<const ServedModel> version;
  std::string client;  // who asks: clients share the device by weight
  Priority priority = Priority::kInteractive;
  absl::Time deadline = absl::InfiniteFuture();  // on the tagger's clock
};

// Which tags to return.
struct TagOptions {
  std::vector<std::string> heads;  // empty: all
  int top_k = 0;
  float min_score = 0;
  bool include_windows = false;
};

// Audio that is all there.
struct AudioBytes {
  absl::string_view audio;        // must stay valid until the call's callback
  absl::optional<PcmFormat> pcm;  // the form of `audio`; absent: an encoded file
};

struct TagRequest : CallOptions, TagOptions, AudioBytes {};

struct EmbedRequest : CallOptions, AudioBytes {
  bool include_windows = false;
};

// Audio that comes in chunks.
struct StreamRequest : CallOptions, TagOptions {
  absl::optional<PcmFormat> pcm;  // the form of the chunks; absent: an encoded file
};

// What every call's outcome has.
struct CallResult {
  std::shared_ptr<const ModelSpec> model;
  SourceInfo source;
  absl::Duration audio_duration;
  int64_t window_count = 0;
  struct {
    absl::Duration decode, queue, inference, total;
  } timing;
};

struct WindowTags {
  absl::Duration start_offset;
  absl::Duration duration;
  std::vector<HeadTags> heads;
};

struct TagResult : CallResult {
  std::vector<HeadTags> heads;
  std::vector<WindowTags> windows;  // if asked for
};

struct WindowEmbedding {
  absl::Duration start_offset;
  absl::Duration duration;
  std::vector<float> values;  // [layer_count, hidden_size], row-major
};

struct EmbedResult : CallResult {
  std::vector<float> values;             // [layer_count, hidden_size], row-major: the mean over the windows
  std::vector<WindowEmbedding> windows;  // if asked for
};

// Who gets a stream's results. Called from several threads, one call at a time but for OnWantData.
class StreamListener {
 public:
  virtual ~StreamListener() = default;

  // The last chunk has been read: the next may be written.
  virtual void OnWantData() = 0;
  // The next window's tags. Stream::WindowSent is to be called once they have left.
  virtual void OnWindow(const ModelSpec& model, WindowTags window) = 0;
  // The last call.
  virtual void OnEnd(absl::StatusOr<TagResult> result) = 0;
};

class Tagger {
 public:
  struct Options {
    absl::Duration max_audio_duration = absl::Minutes(15);
    // Of streams.
    absl::Duration max_stream_duration = absl::Hours(24);
    absl::Duration stream_idle_timeout = absl::Minutes(1);
    int max_streams = 256;
    std::string spool_folder = "/tmp";
    int64_t max_spool_bytes = int64_t{4} << 30;
  };
  using TagCallback = absl::AnyInvocable<void(absl::StatusOr<TagResult>) &&>;
  using EmbedCallback = absl::AnyInvocable<void(absl::StatusOr<EmbedResult>) &&>;

  // One request on its way.
  class Call {
   public:
    virtual ~Call() = default;
    // Gives the call up: it ends with `status` as soon as its decoder stops, and its waiting windows leave the queue.
    // Counted as `reason` if the device runs a window of it. No effect on a call that has ended.
    virtual void Cancel(WasteReason reason, absl::Status status) = 0;
  };

  // A call whose audio comes in chunks.
  class Stream : public Call {
   public:
    // The next chunk; only before the first OnWantData, and then once for each.
    virtual void Write(std::string chunk) = 0;
    // No chunk follows.
    virtual void CloseWrites() = 0;
    // One window's result has left. A few that haven't hold the stream up.
    virtual void WindowSent() = 0;
  };

  // `models`, of which the first is the default, in the order of the batcher's slots.
  Tagger(const Options& options, const std::vector<const TaggingModel*>& models, WorkerPool& decoders, WindowBatcher& batcher,
         Clock& clock, Metrics& metrics);

  // Start a call. Never block. The callback is called exactly once, on any thread, perhaps before the function returns; its
  // status is one of the error table in DESIGN.md, section 2; an INVALID_ARGUMENT names its field (base/error_details.h).
  // A call holds a few windows at a time, however long its audio is.
  std::shared_ptr<Call> Tag(TagRequest request, TagCallback callback) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<Call> Embed(EmbedRequest request, EmbedCallback callback) ABSL_LOCKS_EXCLUDED(mutex_);

  // Likewise for audio in chunks: OnEnd stands for the callback. `listener` must outlive it. Each stream has a thread of its
  // own, since decoders read when they like. The idle timeout ends a stream whose sender sends nothing, or takes nothing.
  std::shared_ptr<Stream> TagStream(StreamRequest request, StreamListener& listener) ABSL_LOCKS_EXCLUDED(mutex_);

  // Refuses new requests from now on with UNAVAILABLE, and blocks until those accepted have ended or `deadline` has passed,
  // when what is left ends with UNAVAILABLE, too: at once, but for a block of audio that a decoder is at. Returns whether
  // nothing was cut off.
  bool Drain(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // See ModelRegistry.
  std::vector<std::shared_ptr<const ServedModel>> models() const { return models_.All(); }
  absl::StatusOr<std::shared_ptr<const ServedModel>> FindModel(absl::string_view name) const { return models_.Find(name); }
  // Calls that begin from now on get `version`; those under way keep the version that they have, which is returned.
  std::shared_ptr<const ServedModel> ReplaceModel(std::shared_ptr<const ServedModel> version) {
    return models_.Replace(std::move(version));
  }
  const Options& options() const { return options_; }

 private:
  class ActiveCall;
  class BytesCall;
  class StreamCall;

  // Whether a call of `model` that has `in_flight` windows between its decoder and its sink may have another.
  bool HasRoom(const ServedModel& model, int64_t in_flight) const;
  void Enter(const std::shared_ptr<ActiveCall>& call) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave(ActiveCall& call) ABSL_LOCKS_EXCLUDED(mutex_);
  bool NoneActive() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_.empty(); }

  const Options options_;
  ModelRegistry models_;
  WorkerPool& decoders_;
  WindowBatcher& batcher_;
  Clock& clock_;
  Metrics& metrics_;
  ByteBudget spool_budget_;
  std::atomic<int64_t> windows_in_flight_{0};  // of all calls

  absl::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::list<std::shared_ptr<ActiveCall>> calls_ ABSL_GUARDED_BY(mutex_);  // oldest first

  ThreadGroup streams_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_TAGGER_H_
