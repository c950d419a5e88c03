// Reads a model bundle (DESIGN.md, section 4): a folder with manifest.json, backbone.ts and heads/NAME.ts.
//
// Free functions on values; thread-safe.
#ifndef CULTURETAG_INFERENCE_BUNDLE_H_
#define CULTURETAG_INFERENCE_BUNDLE_H_

#include <string>

#include "absl/status/statusor.h"
#include "inference/model_spec.h"

namespace culturetag {

struct Bundle {
  // Where the manifest really lies: symbolic links are followed, since they may be turned to another version at any time.
  std::string folder;
  std::string manifest_digest;
  ModelSpec spec;
};

// What tells one version of the bundle in `folder` from another: the manifest's SHA-256 in hexadecimal, since the manifest
// names the digest of every file. Cheap enough to ask every few seconds. NOT_FOUND if there is no manifest.
absl::StatusOr<std::string> ManifestDigest(const std::string& folder);

// Reads and checks the manifest in `folder`, and compares every file with its SHA-256 in the manifest. NOT_FOUND for a file
// that isn't there; INVALID_ARGUMENT for a manifest that isn't one, a value out of range, a file whose digest disagrees, or a
// path that leads out of the folder; the message names the bundle and what is wrong with it.
absl::StatusOr<Bundle> ReadBundle(const std::string& folder);

}  // namespace culturetag

#endif  // CULTURETAG_INFERENCE_BUNDLE_H_
