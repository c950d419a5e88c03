#include "service/model_reloader.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

// What loading takes of the processor shall be what serving leaves. (On Linux a thread has its own nice value.)
void YieldToServing() {
  constexpr int kNice = 10;
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
}

}  // namespace

void ReportModel(const TaggingModel& model, const WarmupReport& warmup, Metrics& metrics) {
  const ModelSpec& spec = model.spec();
  LogInfo("warm", {{"model", spec.name},
                   {"version", spec.version},
                   {"device", model.device()},
                   {"precision", model.precision()},
                   {"max_batch_windows", warmup.max_batch_windows},
                   {"window_ms", absl::ToDoubleMilliseconds(warmup.window_device_time)},
                   {"seconds", absl::ToDoubleSeconds(warmup.duration)}});
  metrics.RecordModel(spec.name, spec.version, spec.backbone, model.device(), model.precision(), warmup.duration);
}

ModelReloader::ModelReloader(const Options& options, std::vector<std::unique_ptr<ModelSource>> sources, Versions& versions,
                             WindowBatcher& batcher, Tagger& tagger, Clock& clock, Metrics& metrics)
    : options_(options), batcher_(batcher), tagger_(tagger), clock_(clock), metrics_(metrics), versions_(versions) {
  for (std::unique_ptr<ModelSource>& source : sources) {
    Watched& watched = watched_.emplace_back();
    watched.source = std::move(source);
    watched.slot = static_cast<int>(watched_.size()) - 1;
  }
  thread_ = std::thread([this] { Run(); });
}

ModelReloader::~ModelReloader() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void ModelReloader::RequestCheck() {
  absl::MutexLock lock(&mutex_);
  asked_ = true;
}

void ModelReloader::Run() {
  YieldToServing();
  const bool periodic = options_.period > absl::ZeroDuration();
  absl::Time next_look = periodic ? clock_.Now() + options_.period : absl::InfiniteFuture();
  bool asked = false;
  while (AwaitTurn(next_look, asked)) {
    if (asked || clock_.Now() >= next_look) {
      for (Watched& watched : watched_) Look(watched, asked);
      if (periodic) next_look = clock_.Now() + options_.period;
    }
    LetGo();
  }
}

bool ModelReloader::AwaitTurn(absl::Time next_look, bool& asked) {
  absl::Time wake = next_look;
  if (!replaced_.empty()) wake = std::min(wake, clock_.Now() + kReleaseDelay);
  absl::MutexLock lock(&mutex_);
  clock_.AwaitUntil(mutex_, absl::Condition(this, &ModelReloader::AskedOrStopping), wake);
  asked = std::exchange(asked_, false);
  return !stopping_;
}

void ModelReloader::Look(Watched& watched, bool asked) {
  if (stopping()) return;
  const absl::StatusOr<std::string> digest = watched.source->Digest();
  if (digest.ok() && *digest == versions_.at(watched.slot).digest) {
    watched.failed_digest.clear();
    if (asked) LogInfo("unchanged", {{"bundle", watched.source->name()}, {"version", SpecOf(watched).version}});
    return;
  }
  // A source that can't be read has a version, too: that of its error.
  const std::string version = digest.ok() ? *digest : digest.status().ToString();
  if (version == watched.failed_digest && !asked && clock_.Now() < watched.retry_at) return;
  const absl::Status status = digest.ok() ? TakeUp(watched) : digest.status();
  if (absl::IsCancelled(status)) return;  // The server stops.
  metrics_.RecordReload(SpecOf(watched).name, status.ok());
  if (!status.ok()) NoteFailure(watched, version, status);
}

absl::Status ModelReloader::TakeUp(Watched& watched) {
  LogInfo("loading a new version", {{"bundle", watched.source->name()}, {"present", SpecOf(watched).version}});
  CULTURETAG_ASSIGN_OR_RETURN(ModelVersion version, watched.source->Load());
  const TaggingModel& model = *version.instances.front();
  if (model.spec().name != SpecOf(watched).name) {
    return absl::InvalidArgumentError(absl::StrCat("the new version's name is '", model.spec().name, "', the present one's '",
                                                   SpecOf(watched).name, "'; a model keeps its name while the server runs"));
  }
  std::vector<TaggingModel*> instances;
  for (const auto& instance : version.instances) instances.push_back(instance.get());
  CULTURETAG_ASSIGN_OR_RETURN(const WindowBatcher::AddedModel added, batcher_.AddModel(instances));
  replaced_.push_back({tagger_.ReplaceModel(std::make_shared<const ServedModel>(model, added.slot)), watched.slot});
  watched.slot = added.slot;
  watched.failed_digest.clear();
  versions_.emplace(added.slot, std::move(version));
  ReportModel(model, added.warmup, metrics_);
  return absl::OkStatus();
}

void ModelReloader::NoteFailure(Watched& watched, std::string digest, const absl::Status& status) {
  const bool again = digest == watched.failed_digest;
  watched.retry_delay = again ? std::min(watched.retry_delay * 2, kLastRetryDelay) : kFirstRetryDelay;
  watched.retry_at = clock_.Now() + watched.retry_delay;
  watched.failed_digest = std::move(digest);
  LogError("a new version can't be taken up; the present one goes on serving",
           {{"bundle", watched.source->name()},
            {"model", SpecOf(watched).name},
            {"present", SpecOf(watched).version},
            {"error", status.ToString()},
            {"retry_after", absl::FormatDuration(watched.retry_delay)}});
}

void ModelReloader::LetGo() {
  const auto unused = [](const Replaced& replaced) { return replaced.version.expired(); };
  const auto first = std::stable_partition(replaced_.begin(), replaced_.end(), [&](const Replaced& one) { return !unused(one); });
  for (auto replaced = first; replaced != replaced_.end(); ++replaced) {
    batcher_.RemoveModel(replaced->slot);
    versions_.erase(replaced->slot);
    LogInfo("let go of a replaced version", {{"slot", replaced->slot}});
  }
  replaced_.erase(first, replaced_.end());
}

}  // namespace culturetag
