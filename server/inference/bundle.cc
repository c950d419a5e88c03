#include "inference/bundle.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/crypto.h"
#include "base/status_macros.h"
#include "culturetag/v1/bundle.pb.h"
#include "google/protobuf/util/json_util.h"

namespace culturetag {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kManifest = "manifest.json";
constexpr absl::string_view kBackbone = "backbone.ts";
constexpr size_t kMaxManifestBytes = 4 << 20;  // the largest real one has some 20 KB

absl::StatusOr<std::string> ReadManifest(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("no ", kManifest, ": is this the folder of a bundle?"));
  std::string text;
  std::array<char, 1 << 14> block;
  while (file.read(block.data(), block.size()) || file.gcount() > 0) {
    text.append(block.data(), static_cast<size_t>(file.gcount()));
    if (text.size() > kMaxManifestBytes) {
      return absl::InvalidArgumentError(absl::StrCat(kManifest, " is larger than ", kMaxManifestBytes, " bytes"));
    }
  }
  return text;
}

std::string HexOf(const Sha256Digest& digest) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// A link to a folder, and Kubernetes' `..data`, through which the files themselves lead, are followed. A manifest that is kept
// under another name, as a cache of blobs does, has its files elsewhere: then only their digests show that they are of one version.
fs::path RealFolder(const std::string& folder) {
  std::error_code error;
  const fs::path manifest = fs::canonical(fs::path(folder) / std::string(kManifest), error);
  return !error && manifest.filename() == std::string(kManifest) ? manifest.parent_path() : fs::path(folder);
}

absl::StatusOr<v1::BundleManifest> ParseManifest(const std::string& text) {
  v1::BundleManifest manifest;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer tool may say more
  const auto status = google::protobuf::util::JsonStringToMessage(text, &manifest, options);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kManifest, " is no culturetag.v1.BundleManifest: ", std::string(status.message())));
  }
  return manifest;
}

absl::StatusOr<std::string> Sha256OfFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("it is not there, or can't be read");
  Sha256 sha256;
  std::array<char, 1 << 16> block;
  while (file.read(block.data(), block.size()) || file.gcount() > 0) {
    sha256.Update({block.data(), static_cast<size_t>(file.gcount())});
  }
  return HexOf(sha256.Finish());
}

// A manifest may name files in its folder only.
bool StaysInside(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  return !path.empty() && normal.is_relative() && *normal.begin() != "..";
}

absl::Status CheckFiles(const fs::path& folder, const v1::BundleManifest& manifest) {
  for (const auto& [name, expected] : manifest.sha256()) {
    if (!StaysInside(name)) return absl::InvalidArgumentError(absl::StrCat("the path '", name, "' leads out of the bundle"));
    const absl::StatusOr<std::string> found = Sha256OfFile(folder / name);
    if (!found.ok()) return absl::Status(found.status().code(), absl::StrCat(name, ": ", found.status().message()));
    if (*found != absl::AsciiStrToLower(expected)) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": its SHA-256 is ", *found, ", the manifest says ", expected, "; the file has changed or is damaged"));
    }
  }
  return absl::OkStatus();
}

bool IsSampleRate(int rate) { return rate >= 4000 && rate <= 384000; }

// Whole samples of `duration` at `rate`; 0 if they aren't whole, or at a rate with which they might not fit 64 bits.
int64_t SamplesOf(const google::protobuf::Duration& duration, int rate) {
  constexpr int64_t kNano = 1000000000;
  if (!IsSampleRate(rate)) return 0;
  const int64_t numerator = duration.nanos() * int64_t{rate};
  return numerator % kNano == 0 ? duration.seconds() * rate + numerator / kNano : 0;
}

absl::Status CheckNumbers(const ModelSpec& spec) {
  const auto wrong = [](absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat(kManifest, ": ", what)); };
  if (spec.name.empty()) return wrong("`name` is empty");
  if (spec.version.empty()) return wrong("`version` is empty");
  if (!IsSampleRate(spec.sample_rate_hz)) return wrong("`sampleRateHz` must be 4000 to 384000");
  if (spec.window_samples <= 0 || spec.window_samples > int64_t{60} * spec.sample_rate_hz) {
    return wrong("`window` must be a whole number of samples, at most 60 s");
  }
  if (spec.hop_samples <= 0 || spec.hop_samples > spec.window_samples) {
    return wrong("`hop` must be a whole number of samples, at most `window`");
  }
  if (spec.min_clip_samples <= 0 || spec.min_clip_samples > spec.window_samples) {
    return wrong("`minClip` must be a whole number of samples, at most `window`");
  }
  if (spec.layer_count <= 0) return wrong("`layerCount` must be positive");
  if (spec.hidden_size <= 0) return wrong("`hiddenSize` must be positive");
  if (spec.heads.empty()) return wrong("there are no `heads`");
  return absl::OkStatus();
}

absl::StatusOr<HeadSpec> HeadOf(const v1::BundleHead& proto, const v1::BundleManifest& manifest) {
  HeadSpec head{proto.name(), proto.title(), proto.dataset(), proto.file(), {}, {}};
  if (head.name.empty()) return absl::InvalidArgumentError("a head has no name");
  if (!manifest.sha256().contains(head.file)) {
    return absl::InvalidArgumentError(absl::StrCat("head '", head.name, "': its file '", head.file, "' has no SHA-256"));
  }
  std::set<std::string> seen;
  for (const v1::BundleLabel& label : proto.labels()) {
    if (!seen.insert(label.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("head '", head.name, "': the label '", label.name(), "' comes twice"));
    }
    head.labels.push_back({label.name(), label.category(), label.untrained_reason()});
  }
  if (head.labels.empty()) return absl::InvalidArgumentError(absl::StrCat("head '", head.name, "' has no labels"));
  for (const v1::BundleMetric& metric : proto.metrics()) head.metrics[metric.name()] = metric.value();
  return head;
}

absl::StatusOr<ModelSpec> SpecOf(const v1::BundleManifest& manifest) {
  ModelSpec spec;
  spec.name = manifest.name();
  spec.version = manifest.version();
  spec.backbone = manifest.backbone();
  spec.license = manifest.license();
  spec.description = manifest.description();
  spec.sample_rate_hz = manifest.sample_rate_hz();
  spec.window_samples = SamplesOf(manifest.window(), spec.sample_rate_hz);
  spec.hop_samples = SamplesOf(manifest.hop(), spec.sample_rate_hz);
  spec.min_clip_samples = SamplesOf(manifest.min_clip(), spec.sample_rate_hz);
  spec.normalize = manifest.normalize();
  spec.layer_count = manifest.layer_count();
  spec.hidden_size = manifest.hidden_size();
  std::set<std::string> seen;
  for (const v1::BundleHead& proto : manifest.heads()) {
    CULTURETAG_ASSIGN_OR_RETURN(spec.heads.emplace_back(), HeadOf(proto, manifest));
    if (!seen.insert(proto.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("the head '", proto.name(), "' comes twice"));
    }
  }
  if (!manifest.sha256().contains(std::string(kBackbone))) {
    return absl::InvalidArgumentError(absl::StrCat(kBackbone, " has no SHA-256"));
  }
  CULTURETAG_RETURN_IF_ERROR(CheckNumbers(spec));
  return spec;
}

absl::StatusOr<Bundle> ReadUnnamed(const fs::path& folder) {
  CULTURETAG_ASSIGN_OR_RETURN(const std::string text, ReadManifest(folder / std::string(kManifest)));
  CULTURETAG_ASSIGN_OR_RETURN(const v1::BundleManifest manifest, ParseManifest(text));
  Bundle bundle{folder.string(), HexOf(Sha256Of(text)), {}};
  CULTURETAG_ASSIGN_OR_RETURN(bundle.spec, SpecOf(manifest));
  CULTURETAG_RETURN_IF_ERROR(CheckFiles(folder, manifest));
  return bundle;
}

}  // namespace

absl::StatusOr<std::string> ManifestDigest(const std::string& folder) {
  const absl::StatusOr<std::string> text = ReadManifest(fs::path(folder) / std::string(kManifest));
  if (!text.ok()) return absl::Status(text.status().code(), absl::StrCat("bundle ", folder, ": ", text.status().message()));
  return HexOf(Sha256Of(*text));
}

absl::StatusOr<Bundle> ReadBundle(const std::string& folder) {
  absl::StatusOr<Bundle> bundle = ReadUnnamed(RealFolder(folder));
  if (bundle.ok()) return bundle;
  return absl::Status(bundle.status().code(), absl::StrCat("bundle ", folder, ": ", bundle.status().message()));
}

}  // namespace culturetag
