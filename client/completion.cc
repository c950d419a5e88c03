#include "client/completion.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace culturetag::client {
namespace {

std::vector<std::string> OptionNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* const option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

}  // namespace

std::string BashCompletion(const CLI::App& app) {
  std::vector<std::string> words;
  std::string cases;
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(command->get_name());
    absl::StrAppend(&cases, "    ", command->get_name(), ") words='", absl::StrJoin(OptionNames(*command), " "),
                    "' ;;\n");
  }
  for (std::string& name : OptionNames(app)) words.push_back(std::move(name));
  return absl::StrCat(R"(# Completion of culturetag for bash; for zsh, after autoload -U +X bashcompinit && bashcompinit.
_culturetag() {
  local current=${COMP_WORDS[COMP_CWORD]} words
  case ${COMP_WORDS[1]} in
)",
                      cases, "  esac\n  if [ \"$COMP_CWORD\" -eq 1 ]; then words='", absl::StrJoin(words, " "), R"('
  elif [[ $current != -* ]]; then return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
# Where it finds nothing, the shell completes files.
complete -o default -F _culturetag culturetag
)");
}

}  // namespace culturetag::client
