// How many windows a second the model alone scores, in a loop, at each batch size: what the server is measured against.
//
//     engine_bench --bundle=bundles/demo --batch=1,2,4 --seconds=10 [--samples=N] [--device=cpu] [--compute_threads=2]
//
// Staging is part of a pass here; the server does it beside the pass before. One line of JSON for each batch size.
#include <cstdio>
#include <random>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "base/clock.h"
#include "inference/bundle.h"
#include "inference/torch_model.h"

ABSL_FLAG(std::string, bundle, "bundles/demo", "The folder of a model bundle.");
ABSL_FLAG(std::vector<std::string>, batch, {"1"}, "Windows in a pass, comma-separated.");
ABSL_FLAG(double, seconds, 10, "How long to run each batch size.");
ABSL_FLAG(int, samples, 0, "Samples in a window; 0: the bundle's.");
ABSL_FLAG(std::string, device, "cpu", "As the server's.");
ABSL_FLAG(int, compute_threads, 0, "As the server's.");

namespace culturetag {
namespace {

std::vector<float> Noise(size_t count) {
  std::minstd_rand generator(1);
  std::uniform_real_distribution<float> uniform(-0.1F, 0.1F);
  std::vector<float> noise(count);
  for (float& sample : noise) sample = uniform(generator);
  return noise;
}

absl::Status RunPasses(TaggingModel& model, const std::vector<float>& noise, int batch) {
  const std::vector<absl::Span<const float>> windows(static_cast<size_t>(batch), noise);
  const auto pass = [&]() -> absl::Status {
    auto staged = model.Stage(windows);
    return staged.ok() ? model.Run(**staged, false).status() : staged.status();
  };
  for (int i = 0; i < 2; ++i) {  // warm
    if (absl::Status status = pass(); !status.ok()) return status;
  }
  Clock& clock = Clock::Real();
  const absl::Time start = clock.Now();
  const absl::Duration wanted = absl::Seconds(absl::GetFlag(FLAGS_seconds));
  int64_t passes = 0;
  for (; clock.Now() - start < wanted; ++passes) {
    if (absl::Status status = pass(); !status.ok()) return status;
  }
  const double seconds = absl::ToDoubleSeconds(clock.Now() - start);
  std::printf("{\"batch\": %d, \"windows_per_second\": %.3f, \"ms_per_window\": %.3f}\n", batch,
              static_cast<double>(passes * batch) / seconds, 1000 * seconds / static_cast<double>(passes * batch));
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Bench() {
  const absl::StatusOr<Bundle> bundle = ReadBundle(absl::GetFlag(FLAGS_bundle));
  if (!bundle.ok()) return bundle.status();
  const absl::StatusOr<std::string> device = ResolveDevice(absl::GetFlag(FLAGS_device));
  if (!device.ok()) return device.status();
  const int threads = absl::GetFlag(FLAGS_compute_threads);
  SetComputeThreads(threads == 0 ? static_cast<int>(std::thread::hardware_concurrency()) : threads);
  const auto model = LoadTorchModel(bundle->folder, bundle->spec, *device);
  if (!model.ok()) return model.status();
  const int samples = absl::GetFlag(FLAGS_samples);
  const std::vector<float> noise = Noise(static_cast<size_t>(samples == 0 ? bundle->spec.window_samples : samples));
  for (const std::string& text : absl::GetFlag(FLAGS_batch)) {
    int batch = 0;
    if (!absl::SimpleAtoi(text, &batch) || batch < 1) return absl::InvalidArgumentError("--batch must be numbers from 1");
    if (absl::Status status = RunPasses(**model, noise, batch); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace culturetag

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Times a bundle's model alone; see the head of engine_bench.cc.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = culturetag::Bench();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
