#include "server.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "base/tcp_listener.h"
#include "base/worker_pool.h"
#include "batching/window_batcher.h"
#include "bundle_source.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "inference/bundle.h"
#include "inference/torch_model.h"
#include "observability/http_endpoint.h"
#include "observability/metrics.h"
#include "service/authenticator.h"
#include "service/call_gate.h"
#include "service/model_reloader.h"
#include "service/oip_service.h"
#include "service/tagger.h"
#include "service/tagging_service.h"
#include "service/tls_credentials.h"

namespace culturetag {
namespace {

// Requests that may wait for each decoding thread. (Their bytes are bounded by --max_bytes_in_flight.)
constexpr int kQueuedPerDecoder = 1024;

// How long gRPC may take to hand the last responses to the network. Health watches, which never end by themselves, are
// cut off then.
constexpr absl::Duration kFlushTime = absl::Seconds(1);

// Fills a link of 50 ms and 5 MB/s for each stream.
constexpr int kStreamLookaheadBytes = 256 << 10;

// What gRPC's connections need besides the messages.
constexpr int64_t kTransportBytes = int64_t{64} << 20;

// Calls at a time that a client may open on one connection; it waits with more.
constexpr int kMaxCallsOfAConnection = 1000;

constexpr absl::Duration kKeepaliveTime = absl::Minutes(1);
constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(20);
constexpr absl::Duration kLeastPingInterval = absl::Seconds(5);

enum class Phase { kLoading, kServing, kDraining };

class RunningServer final : public Server {
 public:
  RunningServer(const Config& config, std::vector<Bundle> bundles, std::string device,
                std::unique_ptr<Authenticator> authenticator)
      : config_(config),
        bundles_(std::move(bundles)),
        device_(std::move(device)),
        authenticator_(std::move(authenticator)),
        clock_(Clock::Real()),
        metrics_(CULTURETAG_VERSION),
        decoders_(config.decode_threads, config.decode_threads * kQueuedPerDecoder),
        gate_(config.max_bytes_in_flight, authenticator_.get(), config.log_requests, clock_, metrics_) {}

  ~RunningServer() override {
    if (!drained_) Drain();
  }

  absl::Status Open() {
    CULTURETAG_RETURN_IF_ERROR(OpenMetrics());
    grpc::EnableDefaultHealthCheckService(true);
    if (config_.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // Reflection knows what is linked, and gRPC's own health service comes without its descriptors.
    grpc::health::v1::HealthCheckRequest::descriptor();
    CULTURETAG_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials, Credentials());
    CULTURETAG_RETURN_IF_ERROR(Listen());
    grpc::ServerBuilder builder;
    using ConnectionType = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(ConnectionType::FROM_FD, credentials);
    SetTransportOptions(builder);
    builder.RegisterService(&service_);
    builder.RegisterService(&oip_service_);
    grpc_ = builder.BuildAndStart();
    if (grpc_ == nullptr) return absl::InternalError("gRPC doesn't start");
    SetServing(false);
    StartAccepting();
    LogInfo("listening", {{"address", config_.listen}, {"port", port()}, {"metrics_port", metrics_port()}});
    return WritePortFile();
  }

  int port() const override { return listener_->port(); }
  int metrics_port() const override { return http_ == nullptr ? 0 : http_->port(); }

  absl::Status Load() override {
    SetComputeThreads(std::max(1, config_.compute_threads / config_.executors));
    CULTURETAG_ASSIGN_OR_RETURN(const std::vector<std::vector<TaggingModel*>> executors, LoadModels());
    const std::vector<const TaggingModel*> models(executors.front().begin(), executors.front().end());
    LogInfo("warming up and measuring the best batch");
    batcher_ = std::make_unique<WindowBatcher>(BatcherOptions(), executors, clock_, metrics_);
    batcher_for_stop_ = batcher_.get();
    if (stop_requested_) batcher_->StopWarmup();
    CULTURETAG_ASSIGN_OR_RETURN(const std::vector<WarmupReport> reports, batcher_->WaitUntilWarm());
    for (size_t i = 0; i < models.size(); ++i) ReportModel(*models[i], reports[i], metrics_);
    metrics_.SetQueueProbe([this] { return batcher_->Snapshot(); });
    tagger_ = std::make_unique<Tagger>(TaggerOptions(), models, decoders_, *batcher_, clock_, metrics_);
    gate_.Serve(*tagger_, config_.response_cache_bytes);
    WatchBundles();
    EnterPhase(Phase::kServing);
    LogInfo("serving", {{"port", port()}});
    return absl::OkStatus();
  }

  void RequestReload() override {
    absl::MutexLock lock(&reloader_mutex_);
    if (reloader_ != nullptr) reloader_->RequestCheck();
  }

  void RequestStop() override {
    if (stop_requested_.exchange(true)) return;
    if (WindowBatcher* batcher = batcher_for_stop_) batcher->StopWarmup();
    stop_.Notify();
  }
  void WaitForStop() override { stop_.WaitForNotification(); }

  bool Drain() override {
    drained_ = true;
    EnterPhase(Phase::kDraining);
    bool complete = true;
    if (tagger_ != nullptr) {
      LogInfo("draining", {{"delay", absl::FormatDuration(config_.drain_delay)},
                           {"timeout", absl::FormatDuration(config_.drain_timeout)}});
      AwaitUntil(clock_.Now() + config_.drain_delay);
      complete = tagger_->Drain(clock_.Now() + config_.drain_timeout);
      StopReloading();
    }
    if (listener_ != nullptr) listener_->Stop();
    if (grpc_ != nullptr) grpc_->Shutdown(absl::ToChronoTime(absl::Now() + kFlushTime));
    metrics_.SetQueueProbe(nullptr);
    LogInfo("drained", {{"complete", complete}});
    return complete;
  }

 private:
  absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials() const {
    if (config_.tls_cert.empty()) return grpc::InsecureServerCredentials();
    return MakeTlsCredentials({config_.tls_cert, config_.tls_key, config_.tls_client_ca});
  }

  absl::Status Listen() {
    absl::StatusOr<std::unique_ptr<TcpListener>> listener = TcpListener::Create(config_.listen);
    if (!listener.ok()) {
      const absl::Status& status = listener.status();
      return absl::Status(status.code(), absl::StrCat("can't listen on --listen=", config_.listen, ": ", status.message()));
    }
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  void StartAccepting() {
    listener_->Start([this](int connection, int socket) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
      parameters.fd = connection;
      parameters.listener_fd = socket;
      acceptor_->HandleNewConnection(&parameters);
    });
  }

  void SetTransportOptions(grpc::ServerBuilder& builder) const {
    builder.SetMaxReceiveMessageSize(static_cast<int>(config_.max_request_bytes));
    // Of messages that are still arriving: those that have arrived are counted by --max_bytes_in_flight. gRPC goes over the quota
    // for a moment, and then closes idle connections and ends calls that are arriving until it is kept again.
    const auto quota = static_cast<size_t>(config_.max_bytes_in_flight + kTransportBytes);
    builder.SetResourceQuota(grpc::ResourceQuota("culturetag").Resize(quota));
    // What gRPC takes from the network before a stream asks for it. Left alone it grows with the connection's speed, to
    // megabytes for each stream that the device holds up.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamLookaheadBytes);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsOfAConnection);
    // A peer that is gone without a word is noticed; one that asks whether we are there, as stock clients do, is answered.
    const auto milliseconds = [](absl::Duration duration) { return static_cast<int>(absl::ToInt64Milliseconds(duration)); };
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(kKeepaliveTime));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(kKeepaliveTimeout));
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, milliseconds(kLeastPingInterval));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    if (config_.max_connection_age > absl::ZeroDuration()) {
      builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, milliseconds(config_.max_connection_age));
    }
  }

  absl::Status OpenMetrics() {
    if (config_.metrics_listen.empty()) return absl::OkStatus();
    const auto metrics = [this] {
      return HttpResponse{200, "text/plain; version=0.0.4; charset=utf-8", metrics_.Serialize()};
    };
    const auto healthy = [] { return HttpResponse{200, "text/plain", "ok\n"}; };
    const auto ready = [this] {
      return serving_ ? HttpResponse{200, "text/plain", "ready\n"} : HttpResponse{503, "text/plain", "not ready\n"};
    };
    CULTURETAG_ASSIGN_OR_RETURN(
        http_, HttpEndpoint::Create(config_.metrics_listen, {{"/metrics", metrics}, {"/healthz", healthy}, {"/readyz", ready}}));
    return absl::OkStatus();
  }

  // Written beside and renamed, so that a reader never sees half a number.
  absl::Status WritePortFile() const {
    if (config_.port_file.empty()) return absl::OkStatus();
    const std::string unfinished = config_.port_file + ".new";
    std::ofstream(unfinished) << port() << "\n";
    if (std::rename(unfinished.c_str(), config_.port_file.c_str()) == 0) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("can't write --port_file=", config_.port_file));
  }

  // For each executor, an instance of each bundle's model.
  absl::StatusOr<std::vector<std::vector<TaggingModel*>>> LoadModels() {
    std::vector<std::vector<TaggingModel*>> executors(static_cast<size_t>(config_.executors));
    for (size_t slot = 0; slot < bundles_.size(); ++slot) {
      const Bundle& bundle = bundles_[slot];
      LogInfo("loading", {{"bundle", bundle.folder}, {"model", bundle.spec.name}, {"device", device_}});
      CULTURETAG_ASSIGN_OR_RETURN(ModelVersion version, LoadBundle(bundle, device_, config_.executors));
      for (size_t i = 0; i < executors.size(); ++i) executors[i].push_back(version.instances[i].get());
      versions_.emplace(static_cast<int>(slot), std::move(version));
    }
    return executors;
  }

  void WatchBundles() {
    std::vector<std::unique_ptr<ModelSource>> sources;
    for (const std::string& folder : config_.bundles) {
      sources.push_back(std::make_unique<BundleSource>(folder, device_, config_.executors));
    }
    absl::MutexLock lock(&reloader_mutex_);
    reloader_ = std::make_unique<ModelReloader>(ModelReloader::Options{config_.reload_period}, std::move(sources), versions_, *batcher_,
                                                *tagger_, clock_, metrics_);
  }

  // A version that is being warmed up is given up; one that is being read from the disk is waited for.
  void StopReloading() {
    batcher_->StopWarmup();
    std::unique_ptr<ModelReloader> reloader;  // ends without the lock
    absl::MutexLock lock(&reloader_mutex_);
    reloader.swap(reloader_);
  }

  Tagger::Options TaggerOptions() const {
    Tagger::Options options;
    options.max_audio_duration = config_.max_audio_duration;
    options.max_stream_duration = config_.max_stream_duration;
    options.stream_idle_timeout = config_.stream_idle_timeout;
    options.max_streams = config_.max_streams;
    options.spool_folder = config_.spool_folder;
    options.max_spool_bytes = config_.max_spool_bytes;
    return options;
  }

  WindowBatcher::Options BatcherOptions() {
    WindowBatcher::Options options;
    options.max_batch_windows = config_.max_batch_windows;
    options.max_queue_delay = config_.max_queue_delay;
    options.max_queued_audio = config_.max_queued_audio;
    options.fairness.bulk_share = config_.bulk_share;
    options.fairness.client_weights = config_.client_weights;
    if (authenticator_ != nullptr) {
      for (const auto& [name, weight] : authenticator_->weights()) options.fairness.client_weights[name] = weight;
    }
    options.on_device_health = [this](bool well) { SetDeviceHealth(well); };
    return options;
  }

  // A sick device ends SERVING; a well one brings it back, but not before the models are loaded, nor after a drain began.
  void SetDeviceHealth(bool well) {
    absl::MutexLock lock(&phase_mutex_);
    if (phase_ == Phase::kServing) SetServing(well);
  }

  void EnterPhase(Phase phase) {
    absl::MutexLock lock(&phase_mutex_);
    phase_ = phase;
    SetServing(phase == Phase::kServing);
  }

  void SetServing(bool serving) {
    serving_ = serving;
    if (grpc_ == nullptr) return;
    grpc_->GetHealthCheckService()->SetServingStatus(serving);
    for (const char* service : {v1::TaggingService::service_full_name(), inference::GRPCInferenceService::service_full_name()}) {
      grpc_->GetHealthCheckService()->SetServingStatus(service, serving);
    }
  }

  void AwaitUntil(absl::Time time) {
    absl::Mutex mutex;
    absl::MutexLock lock(&mutex);
    clock_.AwaitUntil(mutex, absl::Condition(+[](bool* never) { return *never; }, &never_), time);
  }

  const Config config_;
  const std::vector<Bundle> bundles_;
  const std::string device_;
  const std::unique_ptr<Authenticator> authenticator_;  // null: anyone may call
  Clock& clock_;

  // In the order of use: whatever stands below may use what stands above, and is destroyed first.
  Metrics metrics_;
  absl::Mutex phase_mutex_;
  Phase phase_ ABSL_GUARDED_BY(phase_mutex_) = Phase::kLoading;
  std::atomic<bool> serving_{false};  // what health says
  ModelReloader::Versions versions_;
  std::unique_ptr<WindowBatcher> batcher_;
  WorkerPool decoders_;
  std::unique_ptr<Tagger> tagger_;
  absl::Mutex reloader_mutex_;
  std::unique_ptr<ModelReloader> reloader_ ABSL_GUARDED_BY(reloader_mutex_);  // while it serves
  CallGate gate_;
  TaggingService service_{gate_};
  OipService oip_service_{gate_, CULTURETAG_VERSION, [this] { return serving_.load(); }};
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;  // takes gRPC's connections
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<TcpListener> listener_;
  std::unique_ptr<HttpEndpoint> http_;

  bool drained_ = false;
  bool never_ = false;
  std::atomic<bool> stop_requested_{false};
  std::atomic<WindowBatcher*> batcher_for_stop_{nullptr};  // set once Load has made it
  absl::Notification stop_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Create(const Config& config) {
  std::vector<Bundle> bundles;
  for (const std::string& folder : config.bundles) {
    CULTURETAG_ASSIGN_OR_RETURN(bundles.emplace_back(), ReadBundle(folder));
    const std::string& name = bundles.back().spec.name;
    const auto same = [&name](const Bundle& other) { return other.spec.name == name; };
    if (std::count_if(bundles.begin(), bundles.end(), same) > 1) {
      return absl::InvalidArgumentError(absl::StrCat("--bundle: two bundles have the name '", name, "'"));
    }
  }
  CULTURETAG_ASSIGN_OR_RETURN(std::string device, ResolveDevice(config.device));
  std::unique_ptr<Authenticator> authenticator;
  if (!config.auth_tokens_file.empty()) {
    CULTURETAG_ASSIGN_OR_RETURN(authenticator, Authenticator::Create(config.auth_tokens_file, Clock::Real()));
  }
  auto server = std::make_unique<RunningServer>(config, std::move(bundles), std::move(device), std::move(authenticator));
  CULTURETAG_RETURN_IF_ERROR(server->Open());
  return server;
}

}  // namespace culturetag
