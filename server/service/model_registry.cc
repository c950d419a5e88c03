#include "service/model_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace culturetag {

ModelRegistry::ModelRegistry(const std::vector<const TaggingModel*>& models) {
  for (const TaggingModel* model : models) models_.push_back(std::make_shared<ServedModel>(*model, static_cast<int>(models_.size())));
}

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRegistry::Find(absl::string_view name) const {
  absl::MutexLock lock(&mutex_);
  if (name.empty()) return models_.front();
  std::vector<std::string> names;
  for (const std::shared_ptr<const ServedModel>& model : models_) {
    if (model->spec->name == name) return model;
    names.push_back(model->spec->name);
  }
  return absl::NotFoundError(absl::StrCat("there is no model '", name, "'; there are: ", absl::StrJoin(names, ", ")));
}

std::vector<std::shared_ptr<const ServedModel>> ModelRegistry::All() const {
  absl::MutexLock lock(&mutex_);
  return models_;
}

std::shared_ptr<const ServedModel> ModelRegistry::Replace(std::shared_ptr<const ServedModel> version) {
  absl::MutexLock lock(&mutex_);
  const auto same_name = [&version](const auto& model) { return model->spec->name == version->spec->name; };
  return std::exchange(*std::find_if(models_.begin(), models_.end(), same_name), std::move(version));
}

}  // namespace culturetag
