#include "client/file_list.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/audio_file.h"

namespace culturetag::client {
namespace {

namespace fs = std::filesystem;

// What libsndfile reads and people have. Headerless formats are left out: they can't be recognised.
constexpr absl::string_view kAudioExtensions[] = {".aif",  ".aifc", ".aiff", ".au",  ".caf",  ".flac", ".mp2", ".mp3",
                                                  ".oga",  ".ogg",  ".opus", ".rf64", ".snd", ".w64",  ".wav"};

void AddFailure(const std::string& name, std::string message, FileList& list) {
  list.files.push_back(name);
  Failure& failure = list.failures[name];
  failure.code = "NOT_FOUND";
  failure.message = std::move(message);
}

void AddFolder(const std::string& folder, FileList& list) {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (HasAudioExtension(entry->path().native()) && entry->is_regular_file(ignored)) {
      found.push_back(entry->path().string());
    }
  }
  if (error) {
    AddFailure(folder, absl::StrCat("the folder can't be read: ", error.message()), list);
  } else if (found.empty()) {
    AddFailure(folder, "no audio file is in this folder", list);
  }
  std::sort(found.begin(), found.end());
  list.files.insert(list.files.end(), found.begin(), found.end());
}

void AddGlob(const std::string& pattern, FileList& list) {
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    list.files.insert(list.files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  } else {
    AddFailure(pattern, "no file matches", list);
  }
  globfree(&found);
}

void AddName(const std::string& name, FileList& list) {
  std::error_code error;
  const fs::file_status status = fs::status(name, error);
  if (fs::is_directory(status)) {
    AddFolder(name, list);
  } else if (!fs::exists(status) && name.find_first_of("*?[") != std::string::npos) {
    AddGlob(name, list);
  } else {
    list.files.push_back(name);
  }
}

}  // namespace

bool HasAudioExtension(absl::string_view name) {
  const std::string extension = absl::AsciiStrToLower(fs::path(std::string(name)).extension().string());
  return std::find(std::begin(kAudioExtensions), std::end(kAudioExtensions), extension) != std::end(kAudioExtensions);
}

Outcome<FileList> ListFiles(const FileSelection& selection, int standard_input) {
  FileList list;
  for (const std::string& name : selection.names) AddName(name, list);
  if (selection.list.empty()) return list;
  const Outcome<std::string> text = ReadAudioFile(selection.list, standard_input);
  if (const auto* const failure = std::get_if<Failure>(&text)) return *failure;
  for (const absl::string_view name :
       absl::StrSplit(std::get<std::string>(text), selection.nul_separated ? '\0' : '\n', absl::SkipEmpty())) {
    AddName(std::string(name), list);
  }
  return list;
}

}  // namespace culturetag::client
