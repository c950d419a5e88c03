// `culturetag embed`: writes the model's hidden states of files as NumPy arrays.
#ifndef CULTURETAG_CLIENT_EMBED_COMMAND_H_
#define CULTURETAG_CLIENT_EMBED_COMMAND_H_

#include <string>
#include <vector>

#include "client/console.h"
#include "client/tagging_client.h"

namespace culturetag::client {

struct EmbedOptions {
  std::vector<std::string> files;  // "-": standard input
  std::string model;               // empty: the server's default
  // [W, L, D], an embedding for each window, in place of the track's [L, D].
  bool windows = false;
  // Exactly one is set: the file for the array of the only file, or the folder (made if it isn't there) that gets
  // NAME.npy for each file NAME.EXTENSION.
  std::string output_file;
  std::string output_folder;
};

// Embeds one file after the other. Returns the exit code: 0 if every file worked, else 1. An array's file is there only
// once it is complete.
int RunEmbed(const EmbedOptions& options, TaggingClient& client, const Console& console);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_EMBED_COMMAND_H_
