#include "observability/metrics.h"

#include <array>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace culturetag {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

// In the order of the enums in metric_labels.h.
constexpr std::array<const char*, kStageCount> kStages = {"decode", "resample", "queue", "inference", "aggregate"};
constexpr std::array<const char*, kBatchCloseReasonCount> kCloseReasons = {"full", "idle", "delay", "deadline", "drain"};
constexpr std::array<const char*, kRejectReasonCount> kRejectReasons = {"queue_full", "deadline",  "draining",
                                                                        "too_long",   "bad_audio", "unauthenticated", "quota"};
constexpr std::array<const char*, kWasteReasonCount> kWasteReasons = {"cancelled", "expired"};
constexpr std::array<const char*, kCacheOutcomeCount> kCacheOutcomes = {"hit", "miss", "coalesced"};
constexpr std::array<const char*, 2> kReloadResults = {"failed", "ok"};

// Factors of about 2 from a cached short clip on a GPU to an hour's track on a CPU.
const Histogram::BucketBoundaries kSeconds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
                                              1,     2,     5,     10,   20,   50,   100, 200, 500};
const Histogram::BucketBoundaries kBatchSizes = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256};

Family<Counter>& CounterFamily(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}
Family<Gauge>& GaugeFamily(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry);
}
Family<Histogram>& HistogramFamily(Registry& registry, const char* name, const char* help) {
  return BuildHistogram().Name(name).Help(help).Register(registry);
}

// One counter for each value of a label, made at start so that a rate is 0 rather than absent before the first event.
template <size_t N>
std::array<Counter*, N> CountersByLabel(Family<Counter>& family, const char* label,
                                        const std::array<const char*, N>& values) {
  std::array<Counter*, N> counters;
  for (size_t i = 0; i < N; ++i) counters[i] = &family.Add({{label, values[i]}});
  return counters;
}

}  // namespace

struct Metrics::Families {
  Registry registry;

  Family<Counter>& requests =
      CounterFamily(registry, "culturetag_requests_total", "Finished calls, by RPC and by status code.");
  Family<Histogram>& request_duration = HistogramFamily(
      registry, "culturetag_request_duration_seconds", "From the arrival of a whole request to its response, by RPC.");
  Family<Histogram>& stage_duration =
      HistogramFamily(registry, "culturetag_stage_duration_seconds", "Time that a request spent in one stage.");
  Histogram& batch_windows =
      HistogramFamily(registry, "culturetag_batch_windows", "Windows in one pass of the device.").Add({}, kBatchSizes);
  std::array<Counter*, kBatchCloseReasonCount> batches = CountersByLabel(
      CounterFamily(registry, "culturetag_batches_total", "Passes of the device, by what closed the batch."),
      "close_reason", kCloseReasons);
  Counter& windows = CounterFamily(registry, "culturetag_windows_total", "Windows that were scored.").Add({});
  Counter& audio_seconds =
      CounterFamily(registry, "culturetag_audio_seconds_total", "Audio in the windows that were scored.").Add({});
  Gauge& pending_windows =
      GaugeFamily(registry, "culturetag_pending_windows", "Windows that are admitted and not scored yet.").Add({});
  Gauge& pending_audio =
      GaugeFamily(registry, "culturetag_pending_audio_seconds", "Audio in the pending windows.").Add({});
  Gauge& oldest_pending =
      GaugeFamily(registry, "culturetag_oldest_pending_seconds", "How long the oldest pending window has waited.").Add({});
  Gauge& estimated_wait = GaugeFamily(registry, "culturetag_estimated_wait_seconds",
                                      "Predicted time until all pending windows are scored.")
                              .Add({});
  std::array<Counter*, kRejectReasonCount> rejected =
      CountersByLabel(CounterFamily(registry, "culturetag_rejected_total", "Requests that were turned away, by reason."),
                      "reason", kRejectReasons);
  std::array<Counter*, kWasteReasonCount> wasted = CountersByLabel(
      CounterFamily(registry, "culturetag_wasted_windows_total", "Windows that were scored though nobody waited for them."),
      "reason", kWasteReasons);
  Counter& device_busy =
      CounterFamily(registry, "culturetag_device_busy_seconds_total", "Time in which the device ran a batch.").Add({});
  Counter& device_errors = CounterFamily(registry, "culturetag_device_errors_total", "Passes of the device that failed.").Add({});
  Family<Gauge>& max_batch_windows =
      GaugeFamily(registry, "culturetag_max_batch_windows", "The most windows that a batch may have, by model.");
  Gauge& warmup =
      GaugeFamily(registry, "culturetag_warmup_duration_seconds", "Time from the first pass of a warm-up to its last, over all models so far.")
          .Add({});
  Family<Gauge>& model_info = GaugeFamily(registry, "culturetag_model_info", "1 for every model that is served.");
  Family<Counter>& reloads = CounterFamily(registry, "culturetag_bundle_reloads_total",
                                           "Attempts to take up a new version of a bundle, by model and result.");
  Family<Gauge>& build_info = GaugeFamily(registry, "culturetag_build_info", "1, with the version of this server.");

  std::array<Counter*, kCacheOutcomeCount> cache_lookups = CountersByLabel(
      CounterFamily(registry, "culturetag_response_cache_lookups_total", "Calls of Tag and Embed that asked the response cache."),
      "result", kCacheOutcomes);
  Counter& cache_evictions =
      CounterFamily(registry, "culturetag_response_cache_evictions_total", "Responses that had to make room for others.").Add({});
  Gauge& cache_bytes = GaugeFamily(registry, "culturetag_response_cache_bytes", "Memory of the responses that are kept.").Add({});

  std::array<Histogram*, kStageCount> stages = [this] {
    std::array<Histogram*, kStageCount> histograms;
    for (size_t i = 0; i < kStages.size(); ++i) histograms[i] = &stage_duration.Add({{"stage", kStages[i]}}, kSeconds);
    return histograms;
  }();

  absl::Mutex mutex;
  std::map<std::string, Gauge*> served ABSL_GUARDED_BY(mutex);  // by model, its series of model_info
  std::function<QueueSnapshot()> queue_probe ABSL_GUARDED_BY(mutex);
};

Metrics::Metrics(absl::string_view build_version) : families_(std::make_unique<Families>()) {
  families_->build_info.Add({{"version", std::string(build_version)}}).Set(1);
}

Metrics::~Metrics() = default;

void Metrics::RecordRequest(absl::string_view method, absl::string_view code, absl::Duration duration) {
  // Add returns the existing counter for labels that it has seen.
  families_->requests.Add({{"method", std::string(method)}, {"code", std::string(code)}}).Increment();
  families_->request_duration.Add({{"method", std::string(method)}}, kSeconds).Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordStage(Stage stage, absl::Duration duration) {
  families_->stages[static_cast<size_t>(stage)]->Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::RecordBatch(int windows, BatchCloseReason reason, absl::Duration device_time) {
  families_->batch_windows.Observe(windows);
  families_->batches[static_cast<size_t>(reason)]->Increment();
  families_->device_busy.Increment(absl::ToDoubleSeconds(device_time));
}

void Metrics::RecordScored(int windows, absl::Duration audio) {
  families_->windows.Increment(windows);
  families_->audio_seconds.Increment(absl::ToDoubleSeconds(audio));
}

void Metrics::RecordRejected(RejectReason reason) { families_->rejected[static_cast<size_t>(reason)]->Increment(); }

void Metrics::RecordWasted(WasteReason reason, int windows) {
  families_->wasted[static_cast<size_t>(reason)]->Increment(windows);
}

void Metrics::RecordDeviceError() { families_->device_errors.Increment(); }

void Metrics::SetMaxBatchWindows(absl::string_view model, int windows) {
  families_->max_batch_windows.Add({{"model", std::string(model)}}).Set(windows);
}

void Metrics::RecordModel(absl::string_view model, absl::string_view version, absl::string_view backbone,
                          absl::string_view device, absl::string_view precision, absl::Duration warmup) {
  families_->warmup.Increment(absl::ToDoubleSeconds(warmup));
  for (const char* result : kReloadResults) families_->reloads.Add({{"model", std::string(model)}, {"result", result}});
  absl::MutexLock lock(&families_->mutex);
  Gauge*& served = families_->served[std::string(model)];
  if (served != nullptr) families_->model_info.Remove(served);
  served = &families_->model_info.Add({{"model", std::string(model)},
                                       {"version", std::string(version)},
                                       {"backbone", std::string(backbone)},
                                       {"device", std::string(device)},
                                       {"precision", std::string(precision)}});
  served->Set(1);
}

void Metrics::RecordReload(absl::string_view model, bool success) {
  families_->reloads.Add({{"model", std::string(model)}, {"result", kReloadResults[success ? 1 : 0]}}).Increment();
}

void Metrics::RecordCacheLookup(CacheOutcome outcome) { families_->cache_lookups[static_cast<size_t>(outcome)]->Increment(); }

void Metrics::RecordCacheState(int64_t bytes, int evicted) {
  families_->cache_bytes.Set(static_cast<double>(bytes));
  families_->cache_evictions.Increment(evicted);
}

void Metrics::SetQueueProbe(std::function<QueueSnapshot()> probe) {
  absl::MutexLock lock(&families_->mutex);
  families_->queue_probe = std::move(probe);
}

std::string Metrics::Serialize() const {
  absl::MutexLock lock(&families_->mutex);
  if (families_->queue_probe) {
    const QueueSnapshot queue = families_->queue_probe();
    families_->pending_windows.Set(queue.pending_windows);
    families_->pending_audio.Set(absl::ToDoubleSeconds(queue.pending_audio));
    families_->oldest_pending.Set(absl::ToDoubleSeconds(queue.oldest_pending));
    families_->estimated_wait.Set(absl::ToDoubleSeconds(queue.estimated_wait));
  }
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace culturetag
