// A folder that looks like a bundle, removed at the end: the manifest is real, the TorchScript files are any bytes.
#ifndef CULTURETAG_TESTS_INFERENCE_TEMPORARY_BUNDLE_H_
#define CULTURETAG_TESTS_INFERENCE_TEMPORARY_BUNDLE_H_

#include <filesystem>
#include <string>

#include "absl/strings/str_replace.h"
#include "fakes/temporary_folder.h"

namespace culturetag {

class TemporaryBundle {
 public:
  TemporaryBundle() {
    std::filesystem::create_directory(folder() + "/heads");
    Write("backbone.ts", "backbone\n");
    Write("heads/makam.ts", "makam\n");
    Write("manifest.json", kManifest);
  }

  const std::string& folder() const { return folder_.path(); }

  void Write(const std::string& name, const std::string& bytes) { folder_.Write(name, bytes); }
  void Remove(const std::string& name) { std::filesystem::remove(folder() + "/" + name); }

  // Writes the manifest with `from` replaced by `to`.
  void Edit(const std::string& from, const std::string& to) {
    Write("manifest.json", absl::StrReplaceAll(kManifest, {{from, to}}));
  }

 private:
  static constexpr char kManifest[] = R"json({
    "name": "tiny", "version": "1.2", "backbone": "none", "license": "CC0-1.0", "description": "Not a model.",
    "sampleRateHz": 24000, "window": "5s", "hop": "5s", "minClip": "0.500s", "normalize": true,
    "layerCount": 3, "hiddenSize": 8, "torchVersion": "2.11.0",
    "heads": [{"name": "makam", "title": "Turkish makam", "dataset": "none", "file": "heads/makam.ts",
      "labels": [{"name": "Rast", "category": "makam"},
                 {"name": "Düyek", "category": "usul", "untrainedReason": "can't be rendered"}],
      "metrics": [{"name": "map", "value": 0.5, "protocol": "none"}]}],
    "sha256": {
      "backbone.ts": "c1c27fbee3f12b16ac67ee3b3bec8ab05c89b09d874be3915f2cc9cfda9eed57",
      "heads/makam.ts": "b718989a8be386477f6e2b57e20e5394358d1aaf743fe9344c2f620af9b64ac7"}
  })json";

  TemporaryFolder folder_;
};

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_INFERENCE_TEMPORARY_BUNDLE_H_
