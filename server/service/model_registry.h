// The models that calls may ask for, each in the version that is served at present.
//
// A reload replaces a model while calls are under way: a call holds the version with which it began until it ends, and the
// version is no longer used when nobody holds it.
//
// Thread-safe.
#ifndef CULTURETAG_SERVICE_MODEL_REGISTRY_H_
#define CULTURETAG_SERVICE_MODEL_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "inference/tagging_model.h"

namespace culturetag {

// One version of a model, whose weights are the batcher's in `slot`.
struct ServedModel {
  ServedModel(const TaggingModel& model, int slot_in)
      : spec(std::make_shared<const ModelSpec>(model.spec())), device(model.device()), precision(model.precision()), slot(slot_in) {}

  const std::shared_ptr<const ModelSpec> spec;  // may outlive the version: results hold it
  const std::string device;
  const std::string precision;
  const int slot;
  const uint64_t id = NextId();  // that no other version of this process has

 private:
  static uint64_t NextId() {
    static std::atomic<uint64_t> next{0};
    return next++;
  }
};

class ModelRegistry {
 public:
  // `models`, at least one, in the order of the batcher's slots; the first is the default.
  explicit ModelRegistry(const std::vector<const TaggingModel*>& models);

  // The model of that name, or the default one if it is empty; NOT_FOUND naming those that exist.
  absl::StatusOr<std::shared_ptr<const ServedModel>> Find(absl::string_view name) const ABSL_LOCKS_EXCLUDED(mutex_);
  // All of them, the default one first.
  std::vector<std::shared_ptr<const ServedModel>> All() const ABSL_LOCKS_EXCLUDED(mutex_);

  // From now on calls get `version` instead of the model that has its name, which is returned.
  std::shared_ptr<const ServedModel> Replace(std::shared_ptr<const ServedModel> version) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::shared_ptr<const ServedModel>> models_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_MODEL_REGISTRY_H_
