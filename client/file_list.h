// Which files a command line means.
#ifndef CULTURETAG_CLIENT_FILE_LIST_H_
#define CULTURETAG_CLIENT_FILE_LIST_H_

#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/failure.h"

namespace culturetag::client {

struct FileSelection {
  // Files, folders, quoted globs, or "-" for the audio on standard input.
  std::vector<std::string> names;
  // A file with more names, or "-" for standard input; empty: none.
  std::string list;
  // The names in `list` end with NUL, as `find -print0` writes them, in place of a line break.
  bool nul_separated = false;
};

struct FileList {
  std::vector<std::string> files;
  // Those of `files` that are names which stand for no file, with the reason.
  std::unordered_map<std::string, Failure> failures;
};

// A folder stands for the audio files in it and in its folders, by path; a name with *, ? or [ that is no file stands
// for what glob(7) finds. Any other name stands for itself, whether there is such a file or not. Fails where `list`
// can't be read. Links to folders are not followed.
Outcome<FileList> ListFiles(const FileSelection& selection, int standard_input);

// Whether a file of that name is looked at in a folder: by its extension, in any case.
bool HasAudioExtension(absl::string_view name);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_FILE_LIST_H_
