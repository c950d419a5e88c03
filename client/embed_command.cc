#include "client/embed_command.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "client/audio_file.h"
#include "client/npy.h"
#include "client/render_text.h"
#include "client/whole_file.h"

namespace culturetag::client {
namespace {

namespace fs = std::filesystem;

Failure Fail(const char* code, std::string message) {
  Failure failure;
  failure.code = code;
  failure.message = std::move(message);
  return failure;
}

std::string OutputPath(const EmbedOptions& options, const std::string& file) {
  if (!options.output_file.empty()) return options.output_file;
  const std::string stem = file == "-" ? "stdin" : fs::path(file).stem().string();
  return (fs::path(options.output_folder) / (stem + ".npy")).string();
}

// The array as a file's bytes, or why the answer makes none.
Outcome<std::string> ArrayOf(const v1::EmbedResponse& response, bool windows) {
  std::vector<int64_t> shape = {response.layer_count(), response.hidden_size()};
  const auto size = static_cast<int>(shape[0] * shape[1]);
  std::vector<float> values(response.values().begin(), response.values().end());
  if (windows) {
    shape.insert(shape.begin(), response.windows_size());
    values.clear();
    values.reserve(static_cast<std::size_t>(response.windows_size()) * static_cast<std::size_t>(size));
    for (const v1::WindowEmbedding& window : response.windows()) {
      if (window.values_size() != size) return Fail("INTERNAL", "the server's embedding of a window has another shape");
      values.insert(values.end(), window.values().begin(), window.values().end());
    }
  }
  if (response.values_size() != size) return Fail("INTERNAL", "the server's embedding has another shape than it says");
  return NpyFile(shape, values);
}

absl::optional<Failure> EmbedFile(const EmbedOptions& options, const std::string& file, const std::string& output,
                                  TaggingClient& client, const Console& console) {
  Outcome<std::string> bytes = ReadAudioFile(file, console.in);
  if (auto* const failure = std::get_if<Failure>(&bytes)) return std::move(*failure);
  v1::EmbedRequest request;
  request.mutable_audio()->set_encoded(std::get<std::string>(std::move(bytes)));
  request.set_model(options.model);
  request.set_include_windows(options.windows);
  Outcome<v1::EmbedResponse> response = client.Embed(request);
  if (auto* const failure = std::get_if<Failure>(&response)) return std::move(*failure);
  Outcome<std::string> array = ArrayOf(std::get<v1::EmbedResponse>(response), options.windows);
  if (auto* const failure = std::get_if<Failure>(&array)) return std::move(*failure);
  return WriteWholeFile(output, std::get<std::string>(array));
}

}  // namespace

int RunEmbed(const EmbedOptions& options, TaggingClient& client, const Console& console) {
  if (!options.output_folder.empty()) {
    std::error_code error;
    fs::create_directories(options.output_folder, error);
    if (error) {
      console.err << FailureText(options.output_folder, Fail("UNKNOWN", error.message()));
      return 1;
    }
  }
  bool all_worked = true;
  std::map<std::string, std::string> file_of_output;
  for (const std::string& file : options.files) {
    const std::string output = OutputPath(options, file);
    absl::optional<Failure> failure;
    if (const auto [first, is_new] = file_of_output.emplace(output, file); !is_new) {
      failure = Fail("ALREADY_EXISTS", absl::StrCat(output, " already holds the array of ", first->second));
    } else {
      failure = EmbedFile(options, file, output, client, console);
    }
    if (!failure.has_value()) continue;
    all_worked = false;
    console.err << FailureText(file, *failure) << std::flush;
  }
  return all_worked ? 0 : 1;
}

}  // namespace culturetag::client
