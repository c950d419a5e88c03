// How fast a track becomes the model's windows, against libsndfile and soxr called in a bare loop on the same bytes.
//
//     decode_bench --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true
//                  --benchmark_report_aggregates_only=true
//
// `Windows/...` is the server's path: checks of the container, decoding, downmix, checks of the samples, resampling, windows.
// `Bare/...` opens the file, decodes 4096 frames at a time, takes the mean of the two channels and resamples into a buffer
// that is large enough. The counter is seconds of audio a second of one thread's CPU time.
#include <benchmark/benchmark.h>
#include <sndfile.h>
#include <soxr.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "audio/audio_files.h"
#include "audio/decoder.h"
#include "audio/window_reader.h"
#include "base/clock.h"

namespace culturetag {
namespace {

constexpr int kSourceRate = 44100;
constexpr int kModelRate = 24000;
constexpr int kChannels = 2;
constexpr int kSeconds = 60;
constexpr int64_t kWindow = 5 * kModelRate;

// What a decoder has to work for: noise whose spectrum falls with the frequency, as music's does, not the same in both
// channels. Silence or white noise would be decoded much faster or slower.
std::vector<float> ColouredNoise() {
  std::minstd_rand generator(1);
  std::normal_distribution<float> normal(0, 0.02F);
  std::vector<float> samples(static_cast<size_t>(kSourceRate) * kSeconds * kChannels);
  float state[kChannels] = {};
  for (size_t i = 0; i < samples.size(); ++i) {
    float& last = state[i % kChannels];
    last = 0.97F * last + normal(generator);
    samples[i] = last;
  }
  return samples;
}

std::string Pcm16(const std::vector<float>& samples) {
  std::string bytes;
  for (const float sample : samples) {
    const auto bits = static_cast<uint16_t>(static_cast<int16_t>(std::clamp(sample, -1.0F, 1.0F) * 32767));
    bytes.push_back(static_cast<char>(bits));
    bytes.push_back(static_cast<char>(bits >> 8));
  }
  return bytes;
}

constexpr int kWav = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
constexpr int kFlac = SF_FORMAT_FLAC | SF_FORMAT_PCM_16;
constexpr int kMp3 = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
constexpr int kOgg = SF_FORMAT_OGG | SF_FORMAT_VORBIS;
constexpr int kPcm = 0;  // interleaved 16 bit samples, without a file around them

const std::string& TrackIn(int format) {
  static const auto* const tracks = [] {
    const std::vector<float> noise = ColouredNoise();
    auto* const made = new std::map<int, std::string>{{kPcm, Pcm16(noise)}};
    for (const int kind : {kWav, kFlac, kMp3, kOgg}) {
      (*made)[kind] = Encode({kind, kSourceRate, kChannels, kSourceRate * kSeconds}, noise);
    }
    return made;
  }();
  return tracks->at(format);
}

void CountAudio(benchmark::State& state, double seconds) {
  state.counters["audio_s_per_s"] = benchmark::Counter(seconds, benchmark::Counter::kIsIterationInvariantRate);
}

// All windows of a track; what goes wrong ends the benchmark.
void ReadWindows(benchmark::State& state, absl::StatusOr<std::unique_ptr<Decoder>> decoder) {
  if (!decoder.ok()) return state.SkipWithError(std::string(decoder.status().message()).c_str());
  const WindowReader::Options options = {kModelRate, {kWindow, kWindow, kWindow / 10}, absl::InfiniteDuration()};
  auto reader = WindowReader::Create(options, *std::move(decoder), Clock::Real());
  if (!reader.ok()) return state.SkipWithError(std::string(reader.status().message()).c_str());
  std::vector<Window> windows;
  absl::StatusOr<bool> more = true;
  while (more.ok() && *more) {
    more = (*reader)->Read(windows);
    benchmark::DoNotOptimize(windows.data());
    windows.clear();  // They are on their way to the device.
  }
  if (!more.ok()) state.SkipWithError(std::string(more.status().message()).c_str());
}

void Windows(benchmark::State& state, int format) {
  const std::string& bytes = TrackIn(format);
  for (auto _ : state) ReadWindows(state, OpenEncoded(bytes));
  CountAudio(state, kSeconds);
}

void WindowsOfPcm(benchmark::State& state, int rate, int channels) {
  const std::string& bytes = TrackIn(kPcm);
  for (auto _ : state) ReadWindows(state, OpenPcm({PcmEncoding::kS16Le, rate, channels}, bytes));
  CountAudio(state, static_cast<double>(bytes.size()) / (2.0 * channels * rate));
}

// A file in memory, as small as libsndfile lets it be.
struct BareFile {
  const std::string& bytes;
  sf_count_t position = 0;
};

SF_VIRTUAL_IO BareCallbacks() {
  SF_VIRTUAL_IO io = {};
  io.get_filelen = [](void* self) { return static_cast<sf_count_t>(static_cast<BareFile*>(self)->bytes.size()); };
  io.seek = [](sf_count_t offset, int whence, void* self) {
    auto* const file = static_cast<BareFile*>(self);
    const auto end = static_cast<sf_count_t>(file->bytes.size());
    return file->position = offset + (whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file->position : end);
  };
  io.read = [](void* to, sf_count_t count, void* self) {
    auto* const file = static_cast<BareFile*>(self);
    const auto end = static_cast<sf_count_t>(file->bytes.size());
    count = std::clamp<sf_count_t>(end - file->position, 0, count);
    std::memcpy(to, file->bytes.data() + file->position, static_cast<size_t>(count));
    file->position += count;
    return count;
  };
  io.tell = [](void* self) { return static_cast<BareFile*>(self)->position; };
  return io;
}

soxr_t BareConverter() {
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  return soxr_create(kSourceRate, kModelRate, 1, nullptr, &io, &quality, &runtime);
}

// Returns how many samples the track became.
size_t DecodeBare(const std::string& bytes, std::vector<float>& resampled) {
  constexpr sf_count_t kFrames = 4096;
  BareFile source = {bytes};
  SF_VIRTUAL_IO io = BareCallbacks();
  SF_INFO info = {};
  SNDFILE* const file = sf_open_virtual(&io, SFM_READ, &info, &source);
  const soxr_t converter = BareConverter();
  std::vector<float> block(kFrames * kChannels);
  std::vector<float> mono(kFrames);
  size_t total = 0;
  size_t made = 0;
  while (const sf_count_t got = sf_readf_float(file, block.data(), kFrames)) {
    for (size_t i = 0; i < static_cast<size_t>(got); ++i) mono[i] = 0.5F * (block[2 * i] + block[2 * i + 1]);
    soxr_process(converter, mono.data(), static_cast<size_t>(got), nullptr, &resampled[total], resampled.size() - total, &made);
    total += made;
  }
  do {
    soxr_process(converter, nullptr, 0, nullptr, &resampled[total], resampled.size() - total, &made);
    total += made;
  } while (made > 0);
  soxr_delete(converter);
  sf_close(file);
  return total;
}

void Bare(benchmark::State& state, int format) {
  const std::string& bytes = TrackIn(format);
  std::vector<float> resampled((kSeconds + 1) * kModelRate);
  for (auto _ : state) {
    if (DecodeBare(bytes, resampled) < (kSeconds - 1) * kModelRate) state.SkipWithError("the file was cut short");
    benchmark::DoNotOptimize(resampled.data());
  }
  CountAudio(state, kSeconds);
}

// The least that 16 bit samples of one channel at the model's rate need: to become floats.
void BarePcm(benchmark::State& state) {
  const std::string& bytes = TrackIn(kPcm);
  std::vector<int16_t> samples(bytes.size() / sizeof(int16_t));
  std::memcpy(samples.data(), bytes.data(), bytes.size());
  std::vector<float> window(static_cast<size_t>(kWindow));
  for (auto _ : state) {
    for (size_t i = 0; i + window.size() <= samples.size(); i += window.size()) {
      for (size_t k = 0; k < window.size(); ++k) window[k] = static_cast<float>(samples[i + k]) * (1 / 32768.0F);
      benchmark::DoNotOptimize(window.data());
    }
  }
  CountAudio(state, static_cast<double>(samples.size()) / kModelRate);
}

BENCHMARK_CAPTURE(Bare, wav, kWav)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Windows, wav, kWav)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Bare, flac, kFlac)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Windows, flac, kFlac)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Bare, mp3, kMp3)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Windows, mp3, kMp3)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Bare, ogg, kOgg)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Windows, ogg, kOgg)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Windows, flac_on_threads, kFlac)->Unit(benchmark::kMillisecond)->UseRealTime()->ThreadRange(1, 4);
BENCHMARK(BarePcm)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(WindowsOfPcm, model_rate, kModelRate, 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(WindowsOfPcm, stereo_44100, kSourceRate, 2)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace culturetag

BENCHMARK_MAIN();
