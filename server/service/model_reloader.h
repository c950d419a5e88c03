// Takes up new versions of models while the server serves.
//
// One thread looks at each model's source, every so often and when it is asked to. A version that has changed is loaded,
// checked and warmed up beside the present one, and then takes its place for the calls that begin from then on. A call that is
// under way ends on the version with which it began; when none is left, that version is let go. If anything fails, the present
// version goes on serving, and the new one is tried again later: it may still be being copied.
//
// Thread-safe. Versions, batcher, tagger, clock and metrics must outlive the reloader.
#ifndef CULTURETAG_SERVICE_MODEL_RELOADER_H_
#define CULTURETAG_SERVICE_MODEL_RELOADER_H_

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "batching/window_batcher.h"
#include "inference/tagging_model.h"
#include "observability/metrics.h"
#include "service/tagger.h"

namespace culturetag {

// What a source has loaded.
struct ModelVersion {
  std::string digest;
  std::vector<std::unique_ptr<TaggingModel>> instances;  // one for each executor
};

// Where one model comes from. Thread-compatible.
class ModelSource {
 public:
  virtual ~ModelSource() = default;

  // For the log.
  virtual std::string name() const = 0;
  // Tells the version that is there now from others.
  virtual absl::StatusOr<std::string> Digest() = 0;
  // Loads the version that is there now.
  virtual absl::StatusOr<ModelVersion> Load() = 0;
};

// Says in the log and in the metrics that a model is warm and served.
void ReportModel(const TaggingModel& model, const WarmupReport& warmup, Metrics& metrics);

class ModelReloader {
 public:
  using Versions = std::map<int, ModelVersion>;  // by slot of the batcher

  struct Options {
    // Between two looks at the sources. 0: they are looked at only when that is asked for.
    absl::Duration period = absl::Seconds(5);
  };
  // A version that can't be taken up is tried again after the first, and from then on after twice as long each time, up to
  // the second; at once if that is asked for, or if it has changed.
  static constexpr absl::Duration kFirstRetryDelay = absl::Seconds(5);
  static constexpr absl::Duration kLastRetryDelay = absl::Minutes(10);
  // How soon it is noticed that a replaced version has no call any more.
  static constexpr absl::Duration kReleaseDelay = absl::Seconds(1);

  // `sources` of the models that `batcher` and `tagger` have, in the order of their slots. `versions` are theirs, and are the
  // reloader's from now on.
  ModelReloader(const Options& options, std::vector<std::unique_ptr<ModelSource>> sources, Versions& versions,
                WindowBatcher& batcher, Tagger& tagger, Clock& clock, Metrics& metrics);

  // Waits for a version that is being loaded, and gives it up. WindowBatcher::StopWarmup makes that quick.
  ~ModelReloader();

  ModelReloader(const ModelReloader&) = delete;
  ModelReloader& operator=(const ModelReloader&) = delete;

  // Has the sources looked at now. Never blocks.
  void RequestCheck() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Watched {
    std::unique_ptr<ModelSource> source;
    int slot = 0;               // of the version that is served
    std::string failed_digest;  // of the version that couldn't be taken up; empty: none
    absl::Duration retry_delay;
    absl::Time retry_at;
  };
  struct Replaced {
    std::weak_ptr<const ServedModel> version;
    int slot = 0;
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // Blocks until the sources are to be looked at, or there may be a version to let go. False: the reloader stops.
  bool AwaitTurn(absl::Time next_look, bool& asked) ABSL_LOCKS_EXCLUDED(mutex_);
  void Look(Watched& watched, bool asked);
  // Loads the version that is there now, and serves it.
  absl::Status TakeUp(Watched& watched);
  void NoteFailure(Watched& watched, std::string digest, const absl::Status& status);
  const ModelSpec& SpecOf(const Watched& watched) const { return versions_.at(watched.slot).instances.front()->spec(); }
  void LetGo();
  bool stopping() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }
  bool AskedOrStopping() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return asked_ || stopping_; }

  const Options options_;
  WindowBatcher& batcher_;
  Tagger& tagger_;
  Clock& clock_;
  Metrics& metrics_;

  // The thread's.
  Versions& versions_;
  std::vector<Watched> watched_;
  std::vector<Replaced> replaced_;

  absl::Mutex mutex_;
  bool asked_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // last, so that it starts when the rest is there
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_MODEL_RELOADER_H_
