#include "service/caching_tagger.h"

#include <iterator>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/casts.h"
#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "service/result_store.h"

namespace culturetag {
namespace {

// What a request's options change in its answer, unlike those of any other; likewise for audio's form.
std::string OptionsKey(const TagRequest& request) {
  std::string key = absl::StrCat("tag ", request.top_k, " ", absl::bit_cast<uint32_t>(request.min_score), " ", request.include_windows);
  for (const std::string& head : request.heads) absl::StrAppend(&key, " ", head.size(), ":", head);
  return key;
}
std::string OptionsKey(const EmbedRequest& request) { return absl::StrCat("embed ", request.include_windows); }

std::string FormKey(const absl::optional<PcmFormat>& pcm) {
  if (!pcm.has_value()) return "file";
  return absl::StrCat(static_cast<int>(pcm->encoding), " ", pcm->sample_rate_hz, " ", pcm->channel_count);
}

// About what a result takes of memory.
int64_t BytesOf(const std::vector<HeadTags>& heads) {
  size_t bytes = heads.size() * sizeof(HeadTags);
  for (const HeadTags& head : heads) bytes += head.tags.size() * sizeof(ScoredLabel);
  return static_cast<int64_t>(bytes);
}
int64_t BytesOf(const TagResult& result) {
  auto bytes = static_cast<int64_t>(sizeof(TagResult)) + BytesOf(result.heads);
  for (const WindowTags& window : result.windows) bytes += static_cast<int64_t>(sizeof(WindowTags)) + BytesOf(window.heads);
  return bytes;
}
int64_t BytesOf(const EmbedResult& result) {
  size_t bytes = sizeof(EmbedResult) + result.values.size() * sizeof(float);
  for (const WindowEmbedding& window : result.windows) bytes += sizeof(WindowEmbedding) + window.values.size() * sizeof(float);
  return static_cast<int64_t>(bytes);
}

std::shared_ptr<Tagger::Call> Run(Tagger& tagger, const TagRequest& request, Tagger::TagCallback callback) {
  return tagger.Tag(request, std::move(callback));
}
std::shared_ptr<Tagger::Call> Run(Tagger& tagger, const EmbedRequest& request, Tagger::EmbedCallback callback) {
  return tagger.Embed(request, std::move(callback));
}

// Whether an identical call would get the same error.
bool IsOfTheRequest(const absl::Status& status) { return absl::IsInvalidArgument(status) || absl::IsNotFound(status); }

// A call that has been answered already.
class AnsweredCall final : public Tagger::Call {
  void Cancel(WasteReason, absl::Status) override {}
};

}  // namespace

struct CachingTagger::Shared {
  Shared(int64_t max_bytes, DigestFunction digest_in, Tagger& tagger_in, Clock& clock_in, Metrics& metrics_in)
      : digest(digest_in), tagger(tagger_in), clock(clock_in), metrics(metrics_in), results(max_bytes) {}

  const DigestFunction digest;
  Tagger& tagger;
  Clock& clock;
  Metrics& metrics;

  absl::Mutex mutex;
  ResultStore<CallResult> results ABSL_GUARDED_BY(mutex);  // by key, of the type that the key's method has
};

template <typename Request, typename Result, typename Callback>
class CachingTagger::Lane {
 public:
  explicit Lane(Shared& shared) : shared_(shared) {}

  std::shared_ptr<Tagger::Call> Start(Request request, Callback callback) ABSL_LOCKS_EXCLUDED(shared_.mutex) {
    const absl::Time arrival = shared_.clock.Now();
    const std::string key = KeyOf(request);
    auto waiter = std::make_shared<Waiter>();
    waiter->request = std::move(request);
    waiter->callback = std::move(callback);
    waiter->arrival = arrival;
    std::shared_ptr<const CallResult> hit;
    bool leads = false;
    {
      absl::MutexLock lock(&shared_.mutex);
      hit = shared_.results.Get(key);
      if (hit == nullptr) {
        std::shared_ptr<Flight>& flight = flights_[FlightKey(key, waiter->request)];
        leads = flight == nullptr;
        if (leads) {
          flight = std::make_shared<Flight>();
          flight->key = key;
        }
        flight->waiters.push_back(waiter);
        waiter->flight = flight;
      }
    }
    shared_.metrics.RecordCacheLookup(hit != nullptr ? CacheOutcome::kHit : leads ? CacheOutcome::kMiss : CacheOutcome::kCoalesced);
    if (hit != nullptr) {
      Deliver(*waiter, static_cast<const Result&>(*hit));
      return std::make_shared<AnsweredCall>();
    }
    auto call = std::make_shared<WaitingCall>(*this, waiter);
    if (leads) Lead(waiter->flight);
    return call;
  }

 private:
  struct Flight;

  // One call. Guarded by the shared mutex until it is taken out of its flight; then it is whoever's who took it out.
  struct Waiter {
    Request request;
    Callback callback;
    absl::Time arrival;
    std::shared_ptr<Flight> flight;                                // nullptr once it is taken out
    absl::optional<std::pair<WasteReason, absl::Status>> give_up;  // of a leader, said before its run had begun
  };

  // Identical calls that wait for the run of the first of them. Guarded by the shared mutex.
  struct Flight {
    std::string key;
    std::list<std::shared_ptr<Waiter>> waiters;      // the leader comes first
    bool starting = false;                           // the run is being started: its outcome is left in `outcome`
    std::shared_ptr<Tagger::Call> run;               // once it has started
    absl::optional<absl::StatusOr<Result>> outcome;  // that came while it was being started
  };

  class WaitingCall final : public Tagger::Call {
   public:
    WaitingCall(Lane& lane, std::shared_ptr<Waiter> waiter) : lane_(lane), waiter_(std::move(waiter)) {}
    void Cancel(WasteReason reason, absl::Status status) override { lane_.GiveUp(waiter_, reason, std::move(status)); }

   private:
    Lane& lane_;
    const std::shared_ptr<Waiter> waiter_;
  };

  // The version has an id of its own, so that a model that was reloaded has no old answers.
  std::string KeyOf(Request& request) const {
    const Sha256Digest digest = shared_.digest(request.audio);
    return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()), request.version->id, " ",
                        FormKey(request.pcm), " ", OptionsKey(request));
  }
  // An interactive call doesn't wait for a bulk one.
  static std::string FlightKey(const std::string& key, const Request& request) {
    return absl::StrCat(static_cast<int>(request.priority), key);
  }

  // Runs the flight's first call, and the next one if that fails for a reason of its own. A loop rather than a recursion:
  // the tagger may refuse one after the other at once.
  void Lead(std::shared_ptr<Flight> flight) ABSL_LOCKS_EXCLUDED(shared_.mutex) {
    for (bool next = true; next;) {
      std::shared_ptr<Waiter> leader;
      {
        absl::MutexLock lock(&shared_.mutex);
        leader = flight->waiters.front();
        flight->starting = true;
      }
      const auto ended = [this, flight](absl::StatusOr<Result> outcome) { End(flight, std::move(outcome)); };
      std::shared_ptr<Tagger::Call> run = Run(shared_.tagger, leader->request, ended);
      absl::optional<absl::StatusOr<Result>> outcome;
      absl::optional<std::pair<WasteReason, absl::Status>> give_up;
      {
        absl::MutexLock lock(&shared_.mutex);
        flight->starting = false;
        outcome.swap(flight->outcome);
        if (!outcome.has_value()) flight->run = run;
        give_up = leader->give_up;
      }
      if (!outcome.has_value() && give_up.has_value()) run->Cancel(give_up->first, give_up->second);
      next = outcome.has_value() && Conclude(flight, *std::move(outcome));
    }
  }

  // The run has ended.
  void End(const std::shared_ptr<Flight>& flight, absl::StatusOr<Result> outcome) ABSL_LOCKS_EXCLUDED(shared_.mutex) {
    {
      absl::MutexLock lock(&shared_.mutex);
      flight->run.reset();
      if (flight->starting) {
        flight->outcome = std::move(outcome);
        return;
      }
    }
    if (Conclude(flight, std::move(outcome))) Lead(flight);
  }

  // Answers all whom the outcome concerns. Returns whether others are left, of whom the next must lead.
  bool Conclude(const std::shared_ptr<Flight>& flight, absl::StatusOr<Result> outcome) ABSL_LOCKS_EXCLUDED(shared_.mutex) {
    std::list<std::shared_ptr<Waiter>> answered;
    bool others = false;
    {
      absl::MutexLock lock(&shared_.mutex);
      const bool of_all = outcome.ok() || IsOfTheRequest(outcome.status());
      const auto end = of_all ? flight->waiters.end() : std::next(flight->waiters.begin());
      answered.splice(answered.begin(), flight->waiters, flight->waiters.begin(), end);
      for (const auto& waiter : answered) waiter->flight.reset();
      others = !flight->waiters.empty();
      if (!others) flights_.erase(FlightKey(flight->key, answered.front()->request));
      if (outcome.ok()) Keep(flight->key, *outcome);
    }
    // The leader comes last: what it gets is its own, and the others' needs no copy of what is moved to it.
    for (auto waiter = std::next(answered.begin()); waiter != answered.end(); ++waiter) {
      if (outcome.ok()) {
        Deliver(**waiter, *outcome);
      } else {
        std::move((*waiter)->callback)(outcome.status());
      }
    }
    std::move(answered.front()->callback)(std::move(outcome));
    return others;
  }

  void Keep(const std::string& key, const Result& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shared_.mutex) {
    if (shared_.results.Get(key) != nullptr) return;  // of the other priority's flight
    const int evicted = shared_.results.Put(key, std::make_shared<const Result>(result), BytesOf(result));
    shared_.metrics.RecordCacheState(shared_.results.bytes(), evicted);
  }

  // Answers `waiter` with a result for which nothing ran on its behalf.
  void Deliver(Waiter& waiter, Result result) const {
    result.timing = {};
    result.timing.total = shared_.clock.Now() - waiter.arrival;
    std::move(waiter.callback)(std::move(result));
  }

  void GiveUp(const std::shared_ptr<Waiter>& waiter, WasteReason reason, absl::Status status) ABSL_LOCKS_EXCLUDED(shared_.mutex) {
    std::shared_ptr<Tagger::Call> run;
    {
      absl::MutexLock lock(&shared_.mutex);
      const std::shared_ptr<Flight> flight = waiter->flight;
      if (flight == nullptr) return;
      if (flight->waiters.front() == waiter) {
        run = flight->run;
        if (run == nullptr) waiter->give_up.emplace(reason, status);
      } else {
        flight->waiters.remove(waiter);
        waiter->flight.reset();
      }
      if (waiter->flight != nullptr && run == nullptr) return;
    }
    // A leader's audio is the run's until that has ended, which answers it.
    if (run != nullptr) return run->Cancel(reason, std::move(status));
    std::move(waiter->callback)(std::move(status));
  }

  Shared& shared_;
  absl::flat_hash_map<std::string, std::shared_ptr<Flight>> flights_ ABSL_GUARDED_BY(shared_.mutex);
};

CachingTagger::CachingTagger(int64_t max_bytes, DigestFunction digest, Tagger& tagger, Clock& clock, Metrics& metrics)
    : tagger_(tagger), shared_(max_bytes > 0 ? std::make_unique<Shared>(max_bytes, digest, tagger, clock, metrics) : nullptr) {
  if (shared_ == nullptr) return;
  tag_ = std::make_unique<Lane<TagRequest, TagResult, Tagger::TagCallback>>(*shared_);
  embed_ = std::make_unique<Lane<EmbedRequest, EmbedResult, Tagger::EmbedCallback>>(*shared_);
}

CachingTagger::~CachingTagger() = default;

std::shared_ptr<Tagger::Call> CachingTagger::Tag(TagRequest request, Tagger::TagCallback callback) {
  if (tag_ == nullptr || !Pin(request)) return tagger_.Tag(std::move(request), std::move(callback));
  return tag_->Start(std::move(request), std::move(callback));
}

std::shared_ptr<Tagger::Call> CachingTagger::Embed(EmbedRequest request, Tagger::EmbedCallback callback) {
  if (embed_ == nullptr || !Pin(request)) return tagger_.Embed(std::move(request), std::move(callback));
  return embed_->Start(std::move(request), std::move(callback));
}

bool CachingTagger::Pin(CallOptions& options) const {
  if (options.version != nullptr) return true;
  absl::StatusOr<std::shared_ptr<const ServedModel>> version = tagger_.FindModel(options.model);
  if (version.ok()) options.version = *std::move(version);
  return version.ok();
}

}  // namespace culturetag
