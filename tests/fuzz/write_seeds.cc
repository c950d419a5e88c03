// write_seeds FOLDER: writes a small file of every format that libsndfile writes into FOLDER, which must exist.
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "audio/audio_files.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_seeds FOLDER\n");
    return 2;
  }
  for (const int channels : {1, 2}) {
    for (culturetag::AudioFileSpec spec : culturetag::WritableSpecs(channels)) {
      spec.frame_count = 500;
      const std::string path = absl::StrCat(argv[1], "/", absl::Hex(spec.format), "-", channels);
      std::ofstream file(path, std::ios::binary);
      file << culturetag::EncodeSine(spec);
      if (!file.flush()) {
        std::fprintf(stderr, "cannot write %s\n", path.c_str());
        return 1;
      }
    }
  }
  return 0;
}
