// Any bytes as the manifest of a bundle whose files are there.
#include <stdlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzz_pipeline.h"
#include "inference/bundle.h"

namespace culturetag {
namespace {

// A bundle's folder without its manifest. What the seed's digests are of.
class BundleFolder {
 public:
  BundleFolder() {
    Require(mkdtemp(path_.data()) != nullptr);
    std::filesystem::create_directory(path_ + "/heads");
    Write("backbone.ts", "backbone\n");
    Write("heads/makam.ts", "makam\n");
  }
  ~BundleFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  void Write(const std::string& name, absl::string_view bytes) const {
    std::ofstream file(path_ + "/" + name, std::ios::binary);
    file << bytes;
    Require(file.flush().good());
  }

 private:
  std::string path_ = std::filesystem::temp_directory_path().string() + "/culturetag-manifest-XXXXXX";
};

// What the server divides by, allocates by and indexes with.
void CheckSpec(const ModelSpec& spec) {
  Require(!spec.name.empty() && !spec.version.empty());
  Require(spec.sample_rate_hz >= 4000 && spec.sample_rate_hz <= 384000);
  Require(spec.window_samples > 0 && spec.window_samples <= int64_t{60} * spec.sample_rate_hz);
  Require(spec.hop_samples > 0 && spec.hop_samples <= spec.window_samples);
  Require(spec.min_clip_samples > 0 && spec.min_clip_samples <= spec.window_samples);
  Require(spec.layer_count > 0 && spec.hidden_size > 0);
  Require(!spec.heads.empty());
  for (const HeadSpec& head : spec.heads) Require(!head.name.empty() && !head.labels.empty());
}

}  // namespace
}  // namespace culturetag

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const culturetag::BundleFolder folder;
  folder.Write("manifest.json", absl::string_view(reinterpret_cast<const char*>(data), size));
  const absl::StatusOr<culturetag::Bundle> bundle = culturetag::ReadBundle(folder.path());
  if (bundle.ok()) {
    culturetag::CheckSpec(bundle->spec);
  } else {
    culturetag::Require(absl::IsInvalidArgument(bundle.status()) || absl::IsNotFound(bundle.status()));
  }
  return 0;
}
