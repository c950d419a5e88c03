#include "client/models_command.h"

#include <variant>

#include "client/render_json.h"
#include "client/render_text.h"

namespace culturetag::client {

int RunModels(const ModelsOptions& options, TaggingClient& client, const Console& console) {
  const Outcome<v1::ListModelsResponse> outcome = client.ListModels();
  if (const auto* const failure = std::get_if<Failure>(&outcome)) {
    console.err << FailureText("models", *failure);
    return 1;
  }
  const auto& response = std::get<v1::ListModelsResponse>(outcome);
  if (options.json) {
    console.out << ModelsJson(response) << "\n";
  } else {
    console.out << ModelsText(response, options.with_labels, console.style);
  }
  return 0;
}

}  // namespace culturetag::client
