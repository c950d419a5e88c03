#include "inference/bundle.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/temporary_bundle.h"

namespace culturetag {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The message of the error that `files` is refused with, which must have `code`.
std::string Refusal(const TemporaryBundle& files, absl::StatusCode code) {
  const absl::StatusOr<Bundle> bundle = ReadBundle(files.folder());
  EXPECT_EQ(bundle.status().code(), code) << bundle.status();
  EXPECT_THAT(std::string(bundle.status().message()), HasSubstr(files.folder()));
  return std::string(bundle.status().message());
}

TEST(BundleTest, ReadsWhatTheManifestSays) {
  const TemporaryBundle files;
  const absl::StatusOr<Bundle> bundle = ReadBundle(files.folder());
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_EQ(bundle->folder, files.folder());
  const ModelSpec& spec = bundle->spec;
  EXPECT_EQ(spec.name, "tiny");
  EXPECT_EQ(spec.version, "1.2");
  EXPECT_EQ(spec.license, "CC0-1.0");
  EXPECT_EQ(spec.sample_rate_hz, 24000);
  EXPECT_EQ(spec.window_samples, 120000);
  EXPECT_EQ(spec.hop_samples, 120000);
  EXPECT_EQ(spec.min_clip_samples, 12000);
  EXPECT_TRUE(spec.normalize);
  EXPECT_EQ(spec.layer_count, 3);
  EXPECT_EQ(spec.hidden_size, 8);
  ASSERT_EQ(spec.heads.size(), 1U);
  EXPECT_EQ(spec.heads[0].title, "Turkish makam");
  EXPECT_EQ(spec.heads[0].metrics.at("map"), 0.5);
  ASSERT_EQ(spec.heads[0].labels.size(), 2U);
  EXPECT_EQ(spec.heads[0].labels[1].name, "Düyek");
  EXPECT_EQ(spec.heads[0].labels[1].category, "usul");
  EXPECT_EQ(spec.heads[0].labels[1].untrained_reason, "can't be rendered");
  EXPECT_EQ(spec.label_count(), 2);
}

TEST(BundleTest, AcceptsFieldsThatANewerToolMayWrite) {
  TemporaryBundle files;
  files.Edit("\"torchVersion\"", "\"fromTheFuture\": [1, {\"x\": 2}], \"torchVersion\"");
  EXPECT_TRUE(ReadBundle(files.folder()).ok());
}

TEST(BundleTest, SaysThatAFolderIsNoBundle) {
  TemporaryBundle files;
  files.Remove("manifest.json");
  EXPECT_THAT(Refusal(files, absl::StatusCode::kNotFound), HasSubstr("no manifest.json"));
}

TEST(BundleTest, SaysThatAManifestIsNoManifest) {
  TemporaryBundle files;
  files.Write("manifest.json", "{\"name\": 3.5, ");
  EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), HasSubstr("BundleManifest"));
  files.Write("manifest.json", std::string(5 << 20, ' '));
  EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), HasSubstr("larger than"));
}

TEST(BundleTest, NamesTheFileWhoseDigestDisagrees) {
  TemporaryBundle files;
  files.Write("heads/makam.ts", "other\n");
  EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), AllOf(HasSubstr("heads/makam.ts"), HasSubstr("SHA-256")));
}

TEST(BundleTest, NamesTheFileThatIsMissing) {
  TemporaryBundle files;
  files.Remove("backbone.ts");
  EXPECT_THAT(Refusal(files, absl::StatusCode::kNotFound), HasSubstr("backbone.ts"));
}

TEST(BundleTest, RefusesPathsThatLeadOutOfTheFolder) {
  for (const char* path : {"../heads/makam.ts", "/etc/passwd", "heads/../../x", ""}) {
    TemporaryBundle files;
    files.Edit("heads/makam.ts", path);
    EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), HasSubstr("leads out of the bundle")) << path;
  }
}

TEST(BundleTest, RefusesAHeadOrABackboneWithoutADigest) {
  TemporaryBundle files;
  files.Edit("\"file\": \"heads/makam.ts\"", "\"file\": \"heads/other.ts\"");
  EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), HasSubstr("heads/other.ts"));
  files.Edit("\"backbone.ts\"", "\"heads/makam2.ts\"");
  EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), HasSubstr("backbone.ts has no SHA-256"));
}

TEST(BundleTest, NamesTheNumberThatIsOutOfRange) {
  const struct {
    const char* from;
    const char* to;
    const char* name;
  } cases[] = {
      {"24000", "0", "sampleRateHz"},
      {"\"window\": \"5s\"", "\"window\": \"0s\"", "window"},
      {"\"window\": \"5s\"", "\"window\": \"0.000000001s\"", "window"},
      {"\"window\": \"5s\"", "\"window\": \"3600s\"", "window"},
      {"\"hop\": \"5s\"", "\"hop\": \"6s\"", "hop"},
      {"0.500s", "-1s", "minClip"},
      {"\"layerCount\": 3", "\"layerCount\": 0", "layerCount"},
      {"\"hiddenSize\": 8", "\"hiddenSize\": -8", "hiddenSize"},
      {"\"name\": \"tiny\"", "\"name\": \"\"", "name"},
      {"\"version\": \"1.2\"", "\"version\": \"\"", "version"},
  };
  for (const auto& one : cases) {
    TemporaryBundle files;
    files.Edit(one.from, one.to);
    EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), HasSubstr(one.name)) << one.to;
  }
}

TEST(BundleTest, RefusesALabelThatComesTwice) {
  TemporaryBundle files;
  files.Edit("Düyek", "Rast");
  EXPECT_THAT(Refusal(files, absl::StatusCode::kInvalidArgument), HasSubstr("'Rast' comes twice"));
}

TEST(BundleTest, TellsVersionsApartByTheirManifests) {
  TemporaryBundle files;
  const std::string first = *ManifestDigest(files.folder());
  EXPECT_EQ(ReadBundle(files.folder())->manifest_digest, first);
  files.Write("notes.txt", "not in the manifest");
  EXPECT_EQ(*ManifestDigest(files.folder()), first);
  files.Edit("\"1.2\"", "\"1.3\"");
  EXPECT_NE(*ManifestDigest(files.folder()), first);
  EXPECT_EQ(ReadBundle(files.folder())->manifest_digest, *ManifestDigest(files.folder()));
  files.Remove("manifest.json");
  EXPECT_EQ(ManifestDigest(files.folder()).status().code(), absl::StatusCode::kNotFound);
}

TEST(BundleTest, FollowsLinksToTheFolderOfTheVersion) {
  const TemporaryBundle files;
  const TemporaryFolder folder;
  const std::string link = folder.path() + "/current";
  std::filesystem::create_directory_symlink(files.folder(), link);
  EXPECT_EQ(ReadBundle(link)->folder, files.folder());

  // As Kubernetes mounts it: each file leads through `..data`.
  const std::string mount = folder.path() + "/mount";
  std::filesystem::create_directory(mount);
  std::filesystem::create_directory_symlink(files.folder(), mount + "/..data");
  for (const char* name : {"manifest.json", "backbone.ts", "heads"}) {
    std::filesystem::create_symlink(std::string("..data/") + name, mount + "/" + name);
  }
  EXPECT_EQ(ReadBundle(mount)->folder, files.folder());

  // As a cache of blobs keeps it.
  const std::string snapshot = folder.path() + "/snapshot";
  std::filesystem::create_directory(snapshot);
  std::filesystem::copy(files.folder() + "/manifest.json", folder.path() + "/1f2e3d");
  std::filesystem::create_symlink("../1f2e3d", snapshot + "/manifest.json");
  for (const char* name : {"backbone.ts", "heads"}) {
    std::filesystem::create_symlink(files.folder() + "/" + name, snapshot + "/" + name);
  }
  EXPECT_EQ(ReadBundle(snapshot)->folder, snapshot);
}

}  // namespace
}  // namespace culturetag
