// write_seeds FOLDER: writes small inputs for each fuzzer into FOLDER/decode, /stream, /request, /pcm and /manifest.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "audio/audio_files.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag {
namespace {

class SeedFolder {
 public:
  explicit SeedFolder(std::string path) : path_(std::move(path)) {}

  void Write(absl::string_view fuzzer, absl::string_view name, absl::string_view bytes) const {
    const std::string folder = absl::StrCat(path_, "/", fuzzer);
    std::filesystem::create_directories(folder);
    std::ofstream file(absl::StrCat(folder, "/", name), std::ios::binary);
    file << bytes;
    if (file.flush()) return;
    std::fprintf(stderr, "cannot write to %s\n", folder.c_str());
    std::exit(1);
  }

 private:
  const std::string path_;
};

v1::TagRequest WithOptions(v1::TagRequest request) {
  request.set_model("fake");
  request.add_heads("makam");
  request.set_top_k(2);
  request.set_min_score(0.25F);
  request.set_include_windows(true);
  request.set_priority(v1::PRIORITY_BULK);
  return request;
}

// A file of every format that libsndfile writes: as it is, as it comes in pieces, and in a message.
void WriteFiles(const SeedFolder& seeds) {
  for (const int channels : {1, 2}) {
    for (AudioFileSpec spec : WritableSpecs(channels)) {
      spec.frame_count = 500;
      const std::string name = absl::StrCat(absl::Hex(spec.format), "-", channels);
      const std::string file = EncodeSine(spec);
      seeds.Write("decode", name, file);
      for (const char chunk_bits : {4, 12}) seeds.Write("stream", absl::StrCat(name, "-", static_cast<int>(chunk_bits)), chunk_bits + file);
      v1::TagRequest request;
      request.mutable_audio()->set_encoded(file);
      seeds.Write("request", name, WithOptions(request).SerializeAsString());
    }
  }
}

// 16-bit integers and floats. The PCM fuzzer's first eight bytes choose the form; see there.
void WritePcm(const SeedFolder& seeds) {
  const std::string samples = EncodeSine({SF_FORMAT_WAV | SF_FORMAT_FLOAT}).substr(100, 2000);
  for (const bool floats : {false, true}) {
    v1::TagRequest request;
    v1::Pcm& pcm = *request.mutable_audio()->mutable_pcm();
    pcm.set_encoding(floats ? v1::ENCODING_F32LE : v1::ENCODING_S16LE);
    pcm.set_sample_rate_hz(16000);
    pcm.set_channel_count(1);
    pcm.set_samples(samples);
    const std::string name = floats ? "f32" : "s16";
    seeds.Write("request", name, request.SerializeAsString());
    constexpr int kOneChannel = (1 + 8) << 1;
    const std::string form = {static_cast<char>(kOneChannel | (floats ? 1 : 0)), 0, 0, 0, '\x80', '\x3e', 0, 0};
    seeds.Write("pcm", name, form + samples);
  }
}

}  // namespace
}  // namespace culturetag

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_seeds FOLDER\n");
    return 2;
  }
  const culturetag::SeedFolder seeds(argv[1]);
  culturetag::WriteFiles(seeds);
  culturetag::WritePcm(seeds);
  std::ostringstream manifest;
  manifest << std::ifstream(CULTURETAG_MANIFEST_SEED).rdbuf();
  seeds.Write("manifest", "tiny.json", manifest.str());
  return 0;
}
