#include "inference/torch_model.h"

#include <torch/script.h>

#include <cmath>
#include <filesystem>

#include "fakes/temporary_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace culturetag {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A bundle of TorchScript that is written here: the backbone gives each window's mean, mean square and largest sample as
// three layers of width 1; the head adds the layers up with the weights 1, 10 and 100 and gives that and its negative.
class TorchModelTest : public testing::Test {
 protected:
  TorchModelTest() {
    std::filesystem::create_directory(folder_.path() + "/heads");
    Save("backbone.ts", R"(
def forward(self, x):
    return torch.stack([x.mean(1), (x * x).mean(1), x.amax(1)], 1).unsqueeze(2)
)");
    Save("heads/sum.ts", R"(
def forward(self, hidden):
    weights = torch.tensor([1.0, 10.0, 100.0], device=hidden.device)
    total = (hidden.squeeze(2) * weights).sum(1, keepdim=True)
    return torch.cat([total, -total], 1)
)");
    spec_.name = "written";
    spec_.sample_rate_hz = 1000;
    spec_.window_samples = 100;
    spec_.hop_samples = 100;
    spec_.min_clip_samples = 10;
    spec_.layer_count = 3;
    spec_.hidden_size = 1;
    spec_.heads = {{"sum", "", "", "heads/sum.ts", {{"plus", "", ""}, {"minus", "", ""}}, {}}};
  }

  void Save(const std::string& name, const std::string& source) {
    torch::jit::Module module("m");
    module.define(source);
    module.save(folder_.path() + "/" + name);
  }

  absl::StatusOr<std::unique_ptr<TaggingModel>> Load() { return LoadTorchModel(folder_.path(), spec_, "cpu"); }

  TemporaryFolder folder_;
  ModelSpec spec_;
};

absl::StatusOr<std::vector<WindowOutput>> RunOn(TaggingModel& model, absl::Span<const absl::Span<const float>> windows,
                                                bool hidden_states = false) {
  auto staged = model.Stage(windows);
  if (!staged.ok()) return staged.status();
  return model.Run(**staged, hidden_states);
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_F(TorchModelTest, RunsBackboneHeadAndSigmoid) {
  const auto model = Load();
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->device(), "cpu");
  EXPECT_EQ((*model)->precision(), "fp32");
  const std::vector<float> a(100, 0.01F);
  std::vector<float> b(100, 0.0F);
  b[7] = 0.02F;
  const auto outputs = RunOn(**model, {a, b});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_EQ(outputs->size(), 2U);
  ASSERT_EQ((*outputs)[0].scores.size(), 2U);
  EXPECT_NEAR((*outputs)[0].scores[0], Sigmoid(0.01 + 10 * 0.0001 + 100 * 0.01), 1e-6);
  EXPECT_NEAR((*outputs)[0].scores[1], Sigmoid(-(0.01 + 10 * 0.0001 + 100 * 0.01)), 1e-6);
  EXPECT_TRUE((*outputs)[0].hidden_states.empty());
  EXPECT_NEAR((*outputs)[1].scores[0], Sigmoid(0.0002 + 10 * 0.000004 + 100 * 0.02), 1e-6);
}

TEST_F(TorchModelTest, GivesTheHiddenStatesOfEachWindowIfAsked) {
  const auto model = Load();
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<float> a(100, 0.5F), b(100, 0.25F);
  const auto outputs = RunOn(**model, {a, b}, true);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT((*outputs)[0].hidden_states, testing::ElementsAre(0.5F, 0.25F, 0.5F));
  EXPECT_THAT((*outputs)[1].hidden_states, testing::ElementsAre(0.25F, 0.0625F, 0.25F));
}

TEST_F(TorchModelTest, TakesAnyLengthAndAnyBatch) {
  const auto model = Load();
  ASSERT_TRUE(model.ok()) << model.status();
  for (const size_t length : {10U, 11U, 63U, 100U}) {
    for (const size_t batch : {1U, 2U, 5U}) {
      const std::vector<float> window(length, 0.01F);
      const std::vector<absl::Span<const float>> windows(batch, window);
      const auto outputs = RunOn(**model, windows);
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      ASSERT_EQ(outputs->size(), batch);
      for (const WindowOutput& output : *outputs) EXPECT_NEAR(output.scores[0], Sigmoid(0.01 + 0.001 + 1.0), 1e-6);
    }
  }
}

TEST_F(TorchModelTest, NormalisesEachWindowByItselfIfTheManifestSaysSo) {
  spec_.normalize = true;
  const auto model = Load();
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> a(100, 0.5F);
  for (size_t i = 0; i < 50; ++i) a[i] = 0.3F;  // mean 0.4, deviation 0.1: -1 and 1
  const std::vector<float> b(100, 0.9F);        // silence once its mean is gone
  const auto outputs = RunOn(**model, {a, b});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_NEAR((*outputs)[0].scores[1], Sigmoid(-(0.0 + 10 * 1.0 + 100 * 1.0)), 1e-6);
  EXPECT_NEAR((*outputs)[1].scores[0], Sigmoid(0), 1e-3);
}

TEST_F(TorchModelTest, NamesTheFileThatIsNoTorchScript) {
  folder_.Write("heads/sum.ts", "not a module");
  const auto model = Load();
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()), AllOf(HasSubstr(folder_.path()), HasSubstr("heads/sum.ts")));
}

TEST_F(TorchModelTest, RefusesABackboneOfAnotherShapeThanTheManifestSays) {
  spec_.layer_count = 4;
  const auto model = Load();
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()),
              AllOf(HasSubstr("backbone.ts"), HasSubstr("[2, 3, 1]"), HasSubstr("[2, 4, 1]")));
}

TEST_F(TorchModelTest, RefusesAHeadWithAnotherNumberOfLabelsThanTheManifestSays) {
  spec_.heads[0].labels.pop_back();
  const auto model = Load();
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()),
              AllOf(HasSubstr("heads/sum.ts"), HasSubstr("[2, 2]"), HasSubstr("[2, 1]")));
}

TEST_F(TorchModelTest, TurnsAnExceptionOfTheModelIntoAnError) {
  Save("backbone.ts", R"(
def forward(self, x):
    x = x[:, :50] + torch.zeros([1, x.size(1)])  # the shapes fit up to 50 samples only
    return torch.stack([x.mean(1), (x * x).mean(1), x.amax(1)], 1).unsqueeze(2)
)");
  const auto model = Load();
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<float> window(100, 0.0F);
  EXPECT_EQ(RunOn(**model, {window}).status().code(), absl::StatusCode::kInternal);
}

TEST(ResolveDeviceTest, ResolvesTheCpuAndRefusesWhatIsNoDevice) {
  EXPECT_EQ(*ResolveDevice("cpu"), "cpu");
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"}) {
    EXPECT_EQ(ResolveDevice(name).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(ResolveDevice("cuda:999").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(ResolveDevice("auto").ok());
}

}  // namespace
}  // namespace culturetag
