// A folder of a test's own that goes when the test does. Tests run beside each other: two that wrote to one path under the
// temporary folder would read each other's files.
#ifndef CULTURETAG_TESTS_FAKES_TEMPORARY_FOLDER_H_
#define CULTURETAG_TESTS_FAKES_TEMPORARY_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace culturetag {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(testing::TempDir() + "culturetag-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "can't make " << path_;
    path_ = std::filesystem::canonical(path_).string();
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  // Absolute and without links.
  const std::string& path() const { return path_; }

  // Writes a file and returns its path.
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::string file = path_ + "/" + name;
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
  }

 private:
  std::string path_;
};

}  // namespace culturetag

#endif  // CULTURETAG_TESTS_FAKES_TEMPORARY_FOLDER_H_
