#include "service/oip_service.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/error_details.h"
#include "base/status_macros.h"
#include "service/oip_convert.h"

namespace culturetag {
namespace {

// The model of that name, or the default one, if it has that version or `version` is empty.
absl::StatusOr<std::shared_ptr<const ServedModel>> FindModel(const Tagger& tagger, absl::string_view name,
                                                             absl::string_view version) {
  CULTURETAG_ASSIGN_OR_RETURN(std::shared_ptr<const ServedModel> model, tagger.FindModel(name));
  const ModelSpec& spec = *model->spec;
  if (version.empty() || version == spec.version) return model;
  return absl::NotFoundError(absl::StrCat("the model \"", spec.name, "\" has no version \"", version, "\"; it has ", spec.version));
}

}  // namespace

// One call of ModelInfer: a call of the tagger for each file. gRPC deletes nothing: OnDone does.
class OipService::InferReactor final : public grpc::ServerUnaryReactor {
 public:
  InferReactor(CallGate& gate, grpc::CallbackServerContext& context, inference::ModelInferResponse& response)
      : gate_(gate), context_(context), response_(response), arrival_(gate.clock().Now()) {}

  void Start(const inference::ModelInferRequest& request) {
    if (const absl::Status status = Prepare(request); !status.ok()) return End(status);
    // A reference of its own: the last file's callback may end this reactor before the call has returned.
    const std::shared_ptr<CallSlot> slot = slot_;
    const size_t count = plan_.files.size();
    for (size_t file = 0; file < count; ++file) {
      TagRequest options = plan_.options;
      options.audio = plan_.files[file];
      slot->Add(gate_.answers().Tag(std::move(options),
                                    [this, file](absl::StatusOr<TagResult> result) { Take(file, std::move(result)); }));
    }
  }

  void OnCancel() override { slot_->OnCancel(context_); }

  void OnDone() override {
    gate_.GiveBytes(bytes_in_flight_);
    delete this;
  }

 private:
  absl::Status Prepare(const inference::ModelInferRequest& request) {
    const Tagger* const tagger = gate_.tagger();
    if (tagger == nullptr) return Loading();
    absl::StatusOr<Caller> caller = gate_.Identify(context_, /*stream=*/false);
    if (!caller.ok()) return caller.status();
    caller_.emplace(*std::move(caller));
    CULTURETAG_ASSIGN_OR_RETURN(const auto model, FindModel(*tagger, request.model_name(), request.model_version()));
    absl::StatusOr<InferPlan> plan = PlanInfer(request, *model->spec);
    if (!plan.ok()) {
      const bool bad_audio = absl::StartsWith(FieldOf(plan.status()).value_or(""), "AUDIO");
      if (bad_audio) gate_.metrics().RecordRejected(RejectReason::kBadAudio);
      return plan.status();
    }
    plan_ = *std::move(plan);
    int64_t bytes = 0;
    for (const absl::string_view file : plan_.files) bytes += static_cast<int64_t>(file.size());
    CULTURETAG_RETURN_IF_ERROR(gate_.TakeBytes(bytes));
    bytes_in_flight_ = bytes;
    plan_.options.version = model;  // one for all files, whatever is reloaded meanwhile
    plan_.options.client = caller_->client();
    plan_.options.deadline = DeadlineOf(context_, gate_.clock());
    response_.set_id(request.id());
    absl::MutexLock lock(&mutex_);
    results_.resize(plan_.files.size());
    left_ = plan_.files.size();
    return absl::OkStatus();
  }

  // A file's tags are there, or it failed: then the others needn't be tagged. The last one ends the call, perhaps on another
  // thread as soon as the lock is free.
  void Take(size_t file, absl::StatusOr<TagResult> result) ABSL_LOCKS_EXCLUDED(mutex_) {
    const std::shared_ptr<CallSlot> slot = slot_;
    bool first_failure = false, last = false;
    {
      absl::MutexLock lock(&mutex_);
      if (result.ok()) {
        caller_->Charge(result->audio_duration);
        results_[file] = *std::move(result);
      } else if (status_.ok()) {
        status_ = BlameFile(file, result.status());
        first_failure = true;
      }
      last = --left_ == 0;
    }
    if (last) return EndWithResults();
    if (first_failure) slot->Cancel(WasteReason::kCancelled, absl::CancelledError("another file of the batch failed"));
  }

  static absl::Status BlameFile(size_t file, const absl::Status& status) {
    if (!absl::StartsWith(FieldOf(status).value_or(""), "audio")) return status;
    const std::string field = InferPlan::FieldOfFile(file);
    return InvalidField(field, absl::StrCat(field, ": ", status.message()));
  }

  void EndWithResults() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::Status status;
    CallResult whole;
    {
      absl::MutexLock lock(&mutex_);
      status = status_;
      if (status.ok()) {
        FillInferResponse(plan_, results_, response_);
        whole = WholeOf(results_);
      }
    }
    End(status, status.ok() ? &whole : nullptr);
  }

  // What the log says of a call of several files: all their windows, and the times of the one that took longest.
  static CallResult WholeOf(const std::vector<TagResult>& results) {
    const auto sooner = [](const TagResult& a, const TagResult& b) { return a.timing.total < b.timing.total; };
    CallResult whole = *std::max_element(results.begin(), results.end(), sooner);
    whole.window_count = 0;
    for (const TagResult& result : results) whole.window_count += result.window_count;
    return whole;
  }

  void End(const absl::Status& status, const CallResult* result = nullptr) {
    Finish(gate_.Account(context_, "ModelInfer", caller_.has_value() ? caller_->client() : "", arrival_, status, result));
  }

  CallGate& gate_;
  grpc::CallbackServerContext& context_;
  inference::ModelInferResponse& response_;
  const absl::Time arrival_;
  absl::optional<Caller> caller_;
  InferPlan plan_;
  int64_t bytes_in_flight_ = 0;  // taken of the gate's budget
  const std::shared_ptr<CallSlot> slot_ = std::make_shared<CallSlot>();

  absl::Mutex mutex_;
  std::vector<TagResult> results_ ABSL_GUARDED_BY(mutex_);  // of the plan's files
  size_t left_ ABSL_GUARDED_BY(mutex_) = 0;                 // files without a result
  absl::Status status_ ABSL_GUARDED_BY(mutex_);             // of the first file that failed
};

grpc::ServerUnaryReactor* OipService::ServerLive(grpc::CallbackServerContext* context, const inference::ServerLiveRequest*,
                                                 inference::ServerLiveResponse* response) {
  response->set_live(true);
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* OipService::ServerReady(grpc::CallbackServerContext* context, const inference::ServerReadyRequest*,
                                                  inference::ServerReadyResponse* response) {
  response->set_ready(ready_());
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* OipService::ModelReady(grpc::CallbackServerContext* context, const inference::ModelReadyRequest* request,
                                                 inference::ModelReadyResponse* response) {
  return gate_.Answer(*context, "ModelReady", [this, request, response](const Tagger* tagger) {
    if (tagger == nullptr) return absl::OkStatus();  // not ready yet
    CULTURETAG_RETURN_IF_ERROR(FindModel(*tagger, request->name(), request->version()).status());
    response->set_ready(ready_());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* OipService::ServerMetadata(grpc::CallbackServerContext* context, const inference::ServerMetadataRequest*,
                                                     inference::ServerMetadataResponse* response) {
  return gate_.Answer(*context, "ServerMetadata", [this, response](const Tagger*) {
    response->set_name("culturetag");
    response->set_version(version_);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* OipService::ModelMetadata(grpc::CallbackServerContext* context,
                                                    const inference::ModelMetadataRequest* request,
                                                    inference::ModelMetadataResponse* response) {
  return gate_.Answer(*context, "ModelMetadata", [request, response](const Tagger* tagger) {
    if (tagger == nullptr) return Loading();
    CULTURETAG_ASSIGN_OR_RETURN(const auto model, FindModel(*tagger, request->name(), request->version()));
    FillModelMetadata(*model->spec, *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* OipService::ModelInfer(grpc::CallbackServerContext* context, const inference::ModelInferRequest* request,
                                                 inference::ModelInferResponse* response) {
  auto* reactor = new InferReactor(gate_, *context, *response);
  reactor->Start(*request);
  return reactor;
}

}  // namespace culturetag
