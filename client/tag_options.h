// What `culturetag tag` is asked for, and how a server is asked for it.
#ifndef CULTURETAG_CLIENT_TAG_OPTIONS_H_
#define CULTURETAG_CLIENT_TAG_OPTIONS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "client/file_list.h"
#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

enum class OutputFormat {
  kText,       // for people
  kJson,       // one array
  kJsonLines,  // one object a line
  kCsv,        // one tag a row
};

struct TagOptions {
  FileSelection files;
  // As in v1::TagRequest.
  std::string model;
  std::vector<std::string> heads;
  int top_k = 5;
  float min_score = 0;
  bool include_windows = false;
  v1::Priority priority = v1::PRIORITY_INTERACTIVE;

  // Files in flight at once; 0: as many as the server can use, by AdaptiveLimit.
  int concurrency = 0;
  // The most audio in flight at once, in bytes. A file that is larger goes alone.
  std::size_t max_bytes_in_flight = std::size_t{256} << 20;
  // Larger inputs go by TagStream, which the server decodes as they come and for which it has no limit of 15 minutes. 8
  // MiB are 15 minutes at 75 kbit/s, less than music is encoded at; and it bounds what a message's retries keep in
  // memory.
  std::size_t stream_above_bytes = std::size_t{8} << 20;

  OutputFormat format = OutputFormat::kText;
  // Append to this file instead of standard output (kJsonLines or kCsv only), and skip files that it has; empty: don't.
  std::string result_file;

  // Draw each head's tags over time below a file's tags (kText only).
  bool timeline = false;
  // Write a page for each file: to this file where it ends with .html, for one file only, or as NAME.html into this
  // folder; empty: don't.
  std::string html;

  // Read PCM of this form from standard input in place of `files`.
  bool live = false;
  v1::PcmFormat live_pcm;
};

v1::TagStreamConfig MakeStreamConfig(const TagOptions& options);

// All but the audio.
v1::TagRequest MakeTagRequest(const TagOptions& options);

// Whether something is drawn over time, for which the requests ask for all tags of all windows, whatever is printed.
bool NeedsEveryTag(const TagOptions& options);

// What of an answer is to be printed: where NeedsEveryTag, without the tags and windows that weren't asked for.
v1::TagResponse PrintedPart(const TagOptions& options, v1::TagResponse response);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_TAG_OPTIONS_H_
