#include "client/tag_cli.h"

#include <limits>
#include <memory>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/render_json.h"
#include "client/request_options.h"

namespace culturetag::client {
namespace {

constexpr int kMaxConcurrency = 256;

constexpr absl::string_view kExamples = R"(Examples:
  culturetag tag melody.flac
  culturetag tag --heads makam,mtat --top-k 3 --windows melody.flac
  culturetag tag --priority bulk --out tags.jsonl ~/Music        # again: only what is missing
  find . -name '*.mp3' -print0 | culturetag tag --csv --files-from - -0 > tags.csv
  culturetag tag --json *.mp3 | jq -r '.[] | [.file, .heads[0].tags[0].label] | @tsv'
  ffmpeg -v error -i song.mp3 -f s16le -ac 1 -ar 44100 - | culturetag tag --live --heads makam --top-k 2
)";

// What the flags say, before it is known whether they go together.
struct Flags {
  bool json = false;
  bool json_lines = false;
  bool csv = false;
};

// Throws CLI::ValidationError, the way in which CLI11 wants to hear of values that it can't check itself.
void Resolve(const Flags& flags, TagOptions& options) {
  if (options.live) {
    if (NeedsEveryTag(options)) throw CLI::ValidationError("--live", "--timeline and --html need files");
    if (flags.csv) throw CLI::ValidationError("--csv", "--live prints text or --json");
    if (!options.files.names.empty()) throw CLI::ValidationError("FILE", "--live reads standard input and no file");
    options.format = flags.json || flags.json_lines ? OutputFormat::kJsonLines : OutputFormat::kText;
    return;
  }
  if (options.files.names.empty() && options.files.list.empty()) throw CLI::RequiredError("FILE");
  if (options.files.list == "-" && absl::c_linear_search(options.files.names, "-")) {
    throw CLI::ValidationError("--files-from", "standard input is either audio or the list");
  }
  if (options.timeline && (flags.json || flags.json_lines || flags.csv || !options.result_file.empty())) {
    throw CLI::ValidationError("--timeline", "is for people, not beside --json, --jsonl, --csv or --out");
  }
  if (absl::EndsWith(options.html, ".html") && (options.files.names.size() != 1 || !options.files.list.empty())) {
    throw CLI::ValidationError("--html", "a page is for one FILE; give more of them a folder");
  }
  if (!options.html.empty() && absl::c_linear_search(options.files.names, "-")) {
    throw CLI::ValidationError("--html", "a page needs a file that can be read twice, not standard input");
  }
  if (flags.json) options.format = OutputFormat::kJson;
  if (flags.json_lines) options.format = OutputFormat::kJsonLines;
  if (flags.csv) options.format = OutputFormat::kCsv;
  if (options.result_file.empty()) return;
  if (flags.json) {
    throw CLI::ValidationError("--json", "nothing can be appended to an array; --out takes --jsonl or --csv");
  }
  if (options.format == OutputFormat::kText) {
    options.format = absl::EndsWith(options.result_file, ".csv") ? OutputFormat::kCsv : OutputFormat::kJsonLines;
  }
}

void AddInputOptions(CLI::App& command, TagOptions& options) {
  command.add_option("FILE", options.files.names,
                     "Audio files, folders (searched by extension), quoted globs; `-` is the audio on standard input")
      ->type_name("");
  CLI::Option* const list =
      command.add_option("--files-from", options.files.list, "File with more names, one a line; `-` is standard input")
          ->type_name("FILE");
  command
      .add_flag("-0,--null", options.files.nul_separated, "The names of --files-from end with NUL, not with a line break")
      ->needs(list);
  CLI::Option* const live =
      command.add_flag("--live", options.live, "Tag the samples on standard input as they come, a line a window")
          ->excludes(list);
  options.live_pcm.set_encoding(v1::ENCODING_S16LE);
  options.live_pcm.set_sample_rate_hz(44100);
  options.live_pcm.set_channel_count(1);
  command
      .add_option_function<int>("--rate", [&options](int rate) { options.live_pcm.set_sample_rate_hz(rate); },
                                "Frames a second of --live, in Hz")
      ->check(CLI::Range(4000, 384000).description(""))
      ->default_str("44100")
      ->needs(live);
  command
      .add_option_function<int>("--channels", [&options](int count) { options.live_pcm.set_channel_count(count); },
                                "Channels of --live")
      ->check(CLI::Range(1, 32).description(""))
      ->default_str("1")
      ->needs(live);
  command
      .add_option_function<std::string>(
          "--encoding",
          [&options](const std::string& name) {
            options.live_pcm.set_encoding(name == "f32le" ? v1::ENCODING_F32LE : v1::ENCODING_S16LE);
          },
          "Samples of --live")
      ->check(CLI::IsMember({"s16le", "f32le"}).description(""))
      ->type_name("s16le|f32le")
      ->default_str("s16le")
      ->needs(live);
}

void AddRequestOptions(CLI::App& command, TagOptions& options) {
  command
      .add_option("--model", options.model,
                  "A model's name, as `culturetag models` prints it; the default is the server's")
      ->type_name("NAME");
  AddHeadsOption(command, options.heads);
  command.add_option("--top-k", options.top_k, "The most tags for each head, 0 for all")
      ->check(CLI::Range(0, std::numeric_limits<int>::max()).description(""))
      ->capture_default_str();
  command.add_option("--min-score", options.min_score, "Leave out tags that score less, from 0 to 1")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->capture_default_str();
  command.add_flag("--windows", options.include_windows, "Print the tags of each window, too");
  AddPriorityOption(command, options.priority);
  command
      .add_option("-j,--jobs,--concurrency", options.concurrency,
                  "How many files may be in flight at once; 0: as many as keep the server busy")
      ->check(CLI::Range(0, kMaxConcurrency).description(""))
      ->capture_default_str();
}

void AddOutputOptions(CLI::App& command, TagOptions& options, Flags& flags) {
  CLI::Option* const json =
      command.add_flag("--json", flags.json, "Print JSON, described below; with --live, JSON Lines");
  CLI::Option* const json_lines = command.add_flag("--jsonl", flags.json_lines, "Print JSON Lines, described below");
  CLI::Option* const csv =
      command.add_flag("--csv", flags.csv, "Print CSV, a row a tag: file, start of the window, head, category, label, score");
  command.add_flag("--timeline", options.timeline, "Draw each head's tags over time below a file's tags");
  command
      .add_option("--html", options.html,
                  "Write a page for each file, with player, waveform and tags over time: to this file, if it ends with "
                  ".html, or as NAME.html into this folder")
      ->type_name("PATH");
  json->excludes(json_lines)->excludes(csv);
  json_lines->excludes(csv);
  command
      .add_option("--out", options.result_file,
                  "Append the results to this file, in --jsonl or --csv, and leave out files that it has. Failures "
                  "aren't results: the next run tries again")
      ->type_name("FILE");
}

}  // namespace

CLI::App* AddTagCommand(CLI::App& app, TagOptions& options) {
  CLI::App* const command = app.add_subcommand("tag", "Tag music: files of any format that libsndfile reads");
  const auto flags = std::make_shared<Flags>();
  AddInputOptions(*command, options);
  AddRequestOptions(*command, options);
  AddOutputOptions(*command, options, *flags);
  command->parse_complete_callback([flags, &options] { Resolve(*flags, options); });
  command->footer(absl::StrCat(kExamples, "\nJSON:\n", kTagsJsonShape, "\n"));
  return command;
}

}  // namespace culturetag::client
