// A folder that goes when the test does.
#ifndef CULTURETAG_TESTS_CLIENT_TEMPORARY_FOLDER_H_
#define CULTURETAG_TESTS_CLIENT_TEMPORARY_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace culturetag::client {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(testing::TempDir() + "/culturetag-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "can't make " << path_;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

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

}  // namespace culturetag::client

#endif  // CULTURETAG_TESTS_CLIENT_TEMPORARY_FOLDER_H_
