#include "bundle_source.h"

#include "base/status_macros.h"
#include "inference/torch_model.h"

namespace culturetag {

absl::StatusOr<ModelVersion> LoadBundle(const Bundle& bundle, const std::string& device, int executors) {
  ModelVersion version;
  version.digest = bundle.manifest_digest;
  for (int i = 0; i < executors; ++i) {
    CULTURETAG_ASSIGN_OR_RETURN(version.instances.emplace_back(), LoadTorchModel(bundle.folder, bundle.spec, device));
  }
  return version;
}

absl::StatusOr<ModelVersion> BundleSource::Load() {
  CULTURETAG_ASSIGN_OR_RETURN(const Bundle bundle, ReadBundle(folder_));
  return LoadBundle(bundle, device_, executors_);
}

}  // namespace culturetag
