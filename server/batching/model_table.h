// The models that a batcher's executors run: what it knows of each, besides what its passes cost.
//
// A model has a slot, whose number stands for it in bucket keys. A freed slot is taken again, so that reloads don't make the
// table grow.
//
// Thread-compatible; the batcher's mutex guards it.
#ifndef CULTURETAG_BATCHING_MODEL_TABLE_H_
#define CULTURETAG_BATCHING_MODEL_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "batching/queue_view.h"
#include "batching/warmup.h"
#include "inference/model_spec.h"

namespace culturetag {

class ModelTable {
 public:
  enum class State { kFree, kWarmingUp, kServing, kLeaving };
  struct Model {
    State state = State::kFree;
    std::string name;
    int sample_rate_hz = 0;
    int batches = 0;  // taken by executors and not ended
    std::vector<absl::StatusOr<WarmupReport>> warmups;  // of the executors whose warm-up of it has ended
  };

  // Each model is warmed up on so many executors, at least one.
  explicit ModelTable(size_t executors) : executors_(executors) {}

  // Returns the slot.
  int Add(const ModelSpec& spec);
  void Remove(int slot) { models_[static_cast<size_t>(slot)] = Model(); }

  // One executor's warm-up of the model has ended: with the last one it is serving. The smallest of the executors' largest
  // batches counts.
  void WarmupEnded(int slot, absl::StatusOr<WarmupReport> report);
  bool AllWarmupsEnded() const;
  // How the warm-up went, which has ended; the error of an executor that failed.
  absl::StatusOr<WarmupReport> Warmup(int slot) const;

  // A model that serves, of which there must be one.
  int AnyServing() const;

  // Of slots, also of free ones.
  int size() const { return static_cast<int>(models_.size()); }
  Model& at(int slot) { return models_[static_cast<size_t>(slot)]; }
  const Model& at(int slot) const { return models_[static_cast<size_t>(slot)]; }
  FullBatch& full_batch(int slot) { return full_batches_[static_cast<size_t>(slot)]; }
  const FullBatch& full_batch(int slot) const { return full_batches_[static_cast<size_t>(slot)]; }
  absl::Span<const FullBatch> full_batches() const { return full_batches_; }

  absl::Duration WindowAudio(int slot, size_t samples) const;

 private:
  const size_t executors_;
  std::vector<Model> models_;
  std::vector<FullBatch> full_batches_;  // by slot
};

}  // namespace culturetag

#endif  // CULTURETAG_BATCHING_MODEL_TABLE_H_
