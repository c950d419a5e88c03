// Model versions from a bundle's folder, for the server's start and for reloads.
//
// Thread-compatible.
#ifndef CULTURETAG_BUNDLE_SOURCE_H_
#define CULTURETAG_BUNDLE_SOURCE_H_

#include <string>
#include <utility>

#include "inference/bundle.h"
#include "service/model_reloader.h"

namespace culturetag {

// Loads `bundle` onto `device`, once for each of `executors`.
absl::StatusOr<ModelVersion> LoadBundle(const Bundle& bundle, const std::string& device, int executors);

class BundleSource final : public ModelSource {
 public:
  // `folder` as the operator gave it, which may lead through links.
  BundleSource(std::string folder, std::string device, int executors)
      : folder_(std::move(folder)), device_(std::move(device)), executors_(executors) {}

  std::string name() const override { return folder_; }
  absl::StatusOr<std::string> Digest() override { return ManifestDigest(folder_); }
  absl::StatusOr<ModelVersion> Load() override;

 private:
  const std::string folder_;
  const std::string device_;
  const int executors_;
};

}  // namespace culturetag

#endif  // CULTURETAG_BUNDLE_SOURCE_H_
