#include "client/cli.h"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/bench/bench_cli.h"
#include "client/bench/bench_command.h"
#include "client/completion.h"
#include "client/connection_options.h"
#include "client/embed_command.h"
#include "client/live_command.h"
#include "client/models_command.h"
#include "client/render_json.h"
#include "client/render_text.h"
#include "client/tag_cli.h"
#include "client/tag_command.h"

namespace culturetag::client {
namespace {

constexpr int kUsageError = 2;
constexpr int kFailure = 1;

constexpr absl::string_view kExitCodes =
    "Exit codes: 0 if everything worked, 1 if anything failed, 2 for a wrong command line, 130 after Ctrl-C.\n";

constexpr absl::string_view kEmbedExamples = R"(Examples:
  culturetag embed melody.flac -o melody.npy             # [L, D]: L hidden states of width D, mean over the track
  culturetag embed --windows melody.flac -o melody.npy   # [W, L, D]: an embedding for each of W windows
  culturetag embed *.flac --out embeddings               # embeddings/NAME.npy for NAME.flac
  python -c 'import numpy; print(numpy.load("melody.npy").shape)'
)";

constexpr absl::string_view kModelsExamples = R"(Examples:
  culturetag models
  culturetag models --server tagger.example:50051 --labels
  culturetag models --json | jq '.[0].heads[].name'
)";

constexpr absl::string_view kHealthExamples = R"(Prints what grpc.health.v1 says of the server; works without a token.

Examples:
  culturetag health && echo ready
  culturetag health --server tagger.example:50051 --timeout 2s
)";

constexpr absl::string_view kCompletionExamples = R"(Examples:
  source <(culturetag completion)                     # in ~/.bashrc
  culturetag completion > /etc/bash_completion.d/culturetag
  autoload -U +X bashcompinit && bashcompinit         # in ~/.zshrc, before that first line
)";

// What the command line asks for.
struct Request {
  // One for each command: CLI11 hands environment variables to the commands that weren't named, too, and in a shared
  // one they would win over the options of the command that was.
  std::list<ConnectionOptions> connections;
  TagOptions tag;
  EmbedOptions embed;
  ModelsOptions models;
  BenchOptions bench;
  // What to do, once the command line is known to make sense. Returns the exit code.
  std::function<int(const Console&)> run;
};

using CommandWithClient = std::function<int(TaggingClient&, const Console&)>;

int RunWithClient(const ConnectionOptions& options, const CommandWithClient& command, const Console& console) {
  const Outcome<std::unique_ptr<TaggingClient>> client = Connect(options);
  if (const auto* const failure = std::get_if<Failure>(&client)) {
    console.err << "culturetag: " << failure->code << ": " << failure->message << "\n";
    return kFailure;
  }
  return command(*std::get<std::unique_ptr<TaggingClient>>(client), console);
}

int RunHealth(TaggingClient& client, const Console& console) {
  const Outcome<std::string> health = client.CheckHealth();
  if (const auto* const failure = std::get_if<Failure>(&health)) {
    console.err << FailureText("health", *failure);
    return kFailure;
  }
  console.out << std::get<std::string>(health) << "\n";
  return std::get<std::string>(health) == "SERVING" ? 0 : kFailure;
}

CLI::App* AddEmbedCommand(CLI::App& app, EmbedOptions& options) {
  CLI::App* const command = app.add_subcommand("embed", "Write the model's hidden states as NumPy arrays (float32)");
  command->add_option("FILE", options.files, "Audio files; `-` is standard input")->required()->type_name("");
  command->add_option("--model", options.model, "A model's name; the default is the server's")->type_name("NAME");
  command->add_flag("--windows", options.windows, "An embedding for each window, [W, L, D], not for the track");
  CLI::Option* const file =
      command->add_option("-o", options.output_file, "The file for the array of the only FILE")->type_name("NPY");
  CLI::Option* const folder = command
                                  ->add_option("--out", options.output_folder,
                                               "The folder for NAME.npy of every FILE; made if it isn't there")
                                  ->type_name("FOLDER");
  file->excludes(folder);
  command->parse_complete_callback([&options] {
    if (options.output_file.empty() && options.output_folder.empty()) throw CLI::RequiredError("-o or --out");
    if (!options.output_file.empty() && options.files.size() > 1) {
      throw CLI::ValidationError("-o", "is for one FILE; give more of them a folder with --out");
    }
  });
  command->footer(std::string(kEmbedExamples));
  return command;
}

CLI::App* AddModelsCommand(CLI::App& app, ModelsOptions& options) {
  CLI::App* const command = app.add_subcommand("models", "List the models that the server serves, with their heads");
  command->add_flag("--labels", options.with_labels, "List every head's labels, too");
  command->add_flag("--json", options.json, "Print JSON, described below; with labels in any case");
  command->footer(absl::StrCat(kModelsExamples, "\nJSON:\n", kModelsJsonShape, "\n"));
  return command;
}

// What all commands that call a server have: how to reach it, the exit codes, and what to run.
void Complete(CLI::App* command, Request& request,
              std::function<int(const ConnectionOptions&, const Console&)> run) {
  ConnectionOptions& connection = request.connections.emplace_back();
  AddConnectionOptions(*command, connection);
  command->footer(absl::StrCat(command->get_footer(), "\n", kExitCodes));
  command->final_callback([&request, &connection, run = std::move(run)] {
    request.run = [&connection, run](const Console& console) { return run(connection, console); };
  });
}

void CompleteWithClient(CLI::App* command, Request& request, CommandWithClient run) {
  Complete(command, request, [run = std::move(run)](const ConnectionOptions& connection, const Console& console) {
    return RunWithClient(connection, run, console);
  });
}

void AddCompletionCommand(CLI::App& app, Request& request) {
  CLI::App* const command = app.add_subcommand("completion", "Print what lets bash or zsh complete command lines");
  command->footer(std::string(kCompletionExamples));
  command->final_callback([&app, &request] {
    request.run = [&app](const Console& console) {
      console.out << BashCompletion(app);
      return 0;
    };
  });
}

void AddCommands(CLI::App& app, Request& request) {
  CompleteWithClient(AddTagCommand(app, request.tag), request, [&request](auto& client, const Console& console) {
    return request.tag.live ? RunLive(request.tag, client, console) : RunTag(request.tag, client, console);
  });
  CompleteWithClient(AddEmbedCommand(app, request.embed), request, [&request](auto& client, const Console& console) {
    return RunEmbed(request.embed, client, console);
  });
  CompleteWithClient(AddModelsCommand(app, request.models), request, [&request](auto& client, const Console& console) {
    return RunModels(request.models, client, console);
  });
  CLI::App* const health = app.add_subcommand("health", "Ask whether the server serves");
  health->footer(std::string(kHealthExamples));
  CompleteWithClient(health, request, RunHealth);
  Complete(AddBenchCommand(app, request.bench), request,
           [&request](const ConnectionOptions& connection, const Console& console) {
             return RunBench(request.bench, connection, console);
           });
  AddCompletionCommand(app, request);
}

}  // namespace

int RunCli(int argc, const char* const* argv, const Console& console) {
  CLI::App app("Tags music with a culturetag server.", "culturetag");
  app.set_version_flag("--version", "culturetag " CULTURETAG_VERSION);
  app.require_subcommand(1);
  app.footer(absl::StrCat(kExitCodes, "`culturetag COMMAND --help` has the options and examples of a command.\n"));
  Request request;
  AddCommands(app, request);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, console.out, console.err) == 0 ? 0 : kUsageError;
  }

  const int exit_code = request.run(console);
  console.out.flush();
  if (console.out.good()) return exit_code;
  console.err << "culturetag: the output can't be written\n";
  return kFailure;
}

}  // namespace culturetag::client
