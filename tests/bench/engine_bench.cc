// How many windows a second the model alone scores, in a loop, at each batch size: what the server is measured against.
//
//     engine_bench --bundle=bundles/demo --batch=1,2,4 --seconds=10 [--samples=N] [--device=cpu] [--compute_threads=2]
//
// Staging is part of a pass here; the server does it beside the pass before. One line of JSON for each batch size. With
// --on_request it says `ready`, and then runs one pass for each line on standard input: the line is the number of windows,
// the answer the milliseconds. So a script can take turns between engines.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "bench/bench_model.h"
#include "inference/torch_model.h"

ABSL_FLAG(std::string, bundle, "bundles/demo", "The folder of a model bundle.");
ABSL_FLAG(std::vector<std::string>, batch, {"1"}, "Windows in a pass, comma-separated.");
ABSL_FLAG(double, seconds, 10, "How long to run each batch size.");
ABSL_FLAG(int, samples, 0, "Samples in a window; 0: the bundle's.");
ABSL_FLAG(std::string, device, "cpu", "As the server's.");
ABSL_FLAG(int, compute_threads, 0, "As the server's.");
ABSL_FLAG(bool, on_request, false, "Run the passes that standard input asks for.");
ABSL_FLAG(std::string, states, "", "With --on_request: a file for the hidden states of one pass, raw float32.");
ABSL_FLAG(std::string, audio, "", "The window, raw float32 samples; empty: noise.");

namespace culturetag {
namespace {

std::vector<float> Noise(size_t count) {
  std::minstd_rand generator(1);
  std::uniform_real_distribution<float> uniform(-0.1F, 0.1F);
  std::vector<float> noise(count);
  for (float& sample : noise) sample = uniform(generator);
  return noise;
}

// The samples of --audio, or noise as long as --samples or the model's window.
std::vector<float> Window(const ModelSpec& spec) {
  const std::string path = absl::GetFlag(FLAGS_audio);
  if (path.empty()) {
    const int samples = absl::GetFlag(FLAGS_samples);
    return Noise(static_cast<size_t>(samples == 0 ? spec.window_samples : samples));
  }
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> samples(bytes.size() / sizeof(float));
  std::memcpy(samples.data(), bytes.data(), samples.size() * sizeof(float));
  return samples;
}

absl::StatusOr<std::vector<WindowOutput>> RunPass(TaggingModel& model, const std::vector<float>& window, int batch,
                                                  bool hidden_states) {
  const std::vector<absl::Span<const float>> windows(static_cast<size_t>(batch), window);
  CULTURETAG_ASSIGN_OR_RETURN(const std::unique_ptr<StagedBatch> staged, model.Stage(windows));
  return model.Run(*staged, hidden_states);
}

absl::Status TimePasses(TaggingModel& model, const std::vector<float>& window, int batch) {
  for (int i = 0; i < 2; ++i) CULTURETAG_RETURN_IF_ERROR(RunPass(model, window, batch, false).status());  // warm
  Clock& clock = Clock::Real();
  const absl::Time start = clock.Now();
  const absl::Duration wanted = absl::Seconds(absl::GetFlag(FLAGS_seconds));
  int64_t passes = 0;
  for (; clock.Now() - start < wanted; ++passes) {
    CULTURETAG_RETURN_IF_ERROR(RunPass(model, window, batch, false).status());
  }
  const double seconds = absl::ToDoubleSeconds(clock.Now() - start);
  std::printf("{\"batch\": %d, \"windows_per_second\": %.3f, \"ms_per_window\": %.3f}\n", batch,
              static_cast<double>(passes * batch) / seconds, 1000 * seconds / static_cast<double>(passes * batch));
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status ServeRequests(TaggingModel& model, const std::vector<float>& window) {
  CULTURETAG_ASSIGN_OR_RETURN(const std::vector<WindowOutput> outputs, RunPass(model, window, 1, true));
  const std::vector<float>& states = outputs.front().hidden_states;
  std::ofstream(absl::GetFlag(FLAGS_states), std::ios::binary)
      .write(reinterpret_cast<const char*>(states.data()), static_cast<std::streamsize>(states.size() * sizeof(float)));
  std::puts("ready");
  std::fflush(stdout);
  Clock& clock = Clock::Real();
  for (int batch = 0; std::cin >> batch;) {
    const absl::Time start = clock.Now();
    CULTURETAG_RETURN_IF_ERROR(RunPass(model, window, batch, false).status());
    std::printf("%.3f\n", absl::ToDoubleMilliseconds(clock.Now() - start));
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

absl::Status Bench() {
  const std::string folder = absl::GetFlag(FLAGS_bundle);
  CULTURETAG_ASSIGN_OR_RETURN(const ModelSpec spec, ReadBenchSpec(folder));
  CULTURETAG_ASSIGN_OR_RETURN(const std::string device, ResolveDevice(absl::GetFlag(FLAGS_device)));
  const int threads = absl::GetFlag(FLAGS_compute_threads);
  SetComputeThreads(threads == 0 ? static_cast<int>(std::thread::hardware_concurrency()) : threads);
  CULTURETAG_ASSIGN_OR_RETURN(const std::unique_ptr<TaggingModel> model, LoadTorchModel(folder, spec, device));
  const std::vector<float> window = Window(spec);
  if (absl::GetFlag(FLAGS_on_request)) return ServeRequests(*model, window);
  for (const std::string& text : absl::GetFlag(FLAGS_batch)) {
    int batch = 0;
    if (!absl::SimpleAtoi(text, &batch) || batch < 1) return absl::InvalidArgumentError("--batch must be numbers from 1");
    CULTURETAG_RETURN_IF_ERROR(TimePasses(*model, window, batch));
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
