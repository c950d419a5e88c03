#include "client/cli.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <variant>

#include <CLI/CLI.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/models_command.h"
#include "client/render_json.h"
#include "client/render_text.h"
#include "client/tag_command.h"
#include "client/tagging_client.h"

namespace culturetag::client {
namespace {

constexpr int kUsageError = 2;
constexpr int kFailure = 1;
constexpr int kMaxConcurrency = 256;

constexpr absl::string_view kExitCodes =
    "Exit codes: 0 if everything worked, 1 if anything failed, 2 for a wrong command line.\n";

constexpr absl::string_view kTagExamples = R"(Examples:
  culturetag tag melody.flac
  culturetag tag --heads makam,mtat --top-k 3 --windows melody.flac
  curl -s https://music.example/melody.mp3 | culturetag tag -
  culturetag tag --json --priority bulk *.mp3 | jq -r '.[] | [.file, .heads[0].tags[0].label] | @tsv'
)";

constexpr absl::string_view kModelsExamples = R"(Examples:
  culturetag models
  culturetag models --server tagger.example:50051 --labels
  culturetag models --json | jq '.[0].heads[].name'
)";

// What a command says where a token can't be taken; the tokens themselves are never printed.
Outcome<std::string> ReadToken(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path);
  std::string token(std::istreambuf_iterator<char>(file), {});
  absl::StripAsciiWhitespace(&token);
  // Anything else isn't allowed in gRPC metadata.
  if (!token.empty() && std::all_of(token.begin(), token.end(), absl::ascii_isgraph)) return token;
  Failure failure;
  failure.code = "INVALID_ARGUMENT";
  failure.message = "holds no token: one line of visible ASCII characters is expected";
  return failure;
}

struct ConnectionOptions {
  TaggingClient::Options client;
  std::string token_file;
};

// Throws CLI::ValidationError, the way in which CLI11 wants to hear of values that it can't check itself.
absl::Duration ParseTimeout(const std::string& text) {
  absl::Duration timeout;
  if (!absl::ParseDuration(text, &timeout) || timeout <= absl::ZeroDuration()) {
    throw CLI::ValidationError("--timeout", absl::StrCat("`", text, "` is no duration; write 500ms, 60s or 2m"));
  }
  return timeout;
}

void AddConnectionOptions(CLI::App& command, ConnectionOptions& options) {
  command.add_option("--server", options.client.server, "Where culturetag-server listens")
      ->type_name("HOST:PORT")
      ->envname("CULTURETAG_SERVER")
      ->capture_default_str()
      ->check([](const std::string& server) {
        return server.find(':') == std::string::npos ? absl::StrCat("`", server, "` has no port; write HOST:PORT") : "";
      });
  command
      .add_option_function<std::string>(
          "--timeout", [&options](const std::string& text) { options.client.timeout = ParseTimeout(text); },
          "How long each call may take, retries included")
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(options.client.timeout));
  command
      .add_option("--token-file", options.token_file,
                  "File with the bearer token that the server asks for; sent in the clear")
      ->type_name("FILE")
      ->check(CLI::Validator(CLI::ExistingFile).description(""));
}

CLI::App* AddTagCommand(CLI::App& app, TagOptions& options, ConnectionOptions& connection) {
  CLI::App* const command = app.add_subcommand("tag", "Tag music: files of any format that libsndfile reads");
  command->add_option("FILE", options.files, "Audio files; `-` is standard input")->required()->type_name("");
  command
      ->add_option("--model", options.model,
                   "A model's name, as `culturetag models` prints it; the default is the server's")
      ->type_name("NAME");
  command->add_option("--heads", options.heads, "Names of heads, separated by commas; the default is all")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES");
  command->add_option("--top-k", options.top_k, "The most tags for each head, 0 for all")
      ->check(CLI::Range(0, std::numeric_limits<int>::max()).description(""))
      ->capture_default_str();
  command->add_option("--min-score", options.min_score, "Leave out tags that score less, from 0 to 1")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->capture_default_str();
  command->add_flag("--windows", options.include_windows, "Print the tags of each window, too");
  command
      ->add_option_function<std::string>(
          "--priority",
          [&options](const std::string& name) {
            options.priority = name == "bulk" ? v1::PRIORITY_BULK : v1::PRIORITY_INTERACTIVE;
          },
          "`bulk` yields to other clients' `interactive`")
      ->check(CLI::IsMember({"interactive", "bulk"}).description(""))
      ->type_name("interactive|bulk")
      ->default_str("interactive");
  command->add_option("--concurrency", options.concurrency, "How many files may be in flight at once")
      ->check(CLI::Range(1, kMaxConcurrency).description(""))
      ->capture_default_str();
  command->add_flag("--json", options.json, "Print JSON, described below");
  AddConnectionOptions(*command, connection);
  command->footer(absl::StrCat(kTagExamples, "\nJSON:\n", kTagsJsonShape, "\n\n", kExitCodes));
  return command;
}

CLI::App* AddModelsCommand(CLI::App& app, ModelsOptions& options, ConnectionOptions& connection) {
  CLI::App* const command = app.add_subcommand("models", "List the models that the server serves, with their heads");
  command->add_flag("--labels", options.with_labels, "List every head's labels, too");
  command->add_flag("--json", options.json, "Print JSON, described below; with labels in any case");
  AddConnectionOptions(*command, connection);
  command->footer(absl::StrCat(kModelsExamples, "\nJSON:\n", kModelsJsonShape, "\n\n", kExitCodes));
  return command;
}

}  // namespace

int RunCli(int argc, const char* const* argv, const Console& console) {
  CLI::App app("Tags music with a culturetag server.", "culturetag");
  app.set_version_flag("--version", "culturetag " CULTURETAG_VERSION);
  app.require_subcommand(1);
  app.footer(absl::StrCat(kExitCodes, "`culturetag COMMAND --help` has the options and examples of a command.\n"));
  ConnectionOptions connection;
  TagOptions tag_options;
  ModelsOptions models_options;
  CLI::App* const tag = AddTagCommand(app, tag_options, connection);
  AddModelsCommand(app, models_options, connection);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, console.out, console.err) == 0 ? 0 : kUsageError;
  }

  Outcome<std::string> token = ReadToken(connection.token_file);
  if (const auto* const failure = std::get_if<Failure>(&token)) {
    console.err << FailureText(connection.token_file, *failure);
    return kFailure;
  }
  connection.client.token = std::get<std::string>(std::move(token));
  TaggingClient client(connection.client, CreateChannel(connection.client.server));
  const int exit_code =
      tag->parsed() ? RunTag(tag_options, client, console) : RunModels(models_options, client, console);
  console.out.flush();
  if (console.out.good()) return exit_code;
  console.err << "culturetag: the output can't be written\n";
  return kFailure;
}

}  // namespace culturetag::client
