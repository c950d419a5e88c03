#include "client/request_options.h"

namespace culturetag::client {

void AddHeadsOption(CLI::App& command, std::vector<std::string>& heads) {
  command.add_option("--heads", heads, "Names of heads, separated by commas; the default is all")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES");
}

void AddPriorityOption(CLI::App& command, v1::Priority& priority) {
  command
      .add_option_function<std::string>(
          "--priority",
          [&priority](const std::string& name) {
            priority = name == "bulk" ? v1::PRIORITY_BULK : v1::PRIORITY_INTERACTIVE;
          },
          "`bulk` yields to other clients' `interactive`")
      ->check(CLI::IsMember({"interactive", "bulk"}).description(""))
      ->type_name("interactive|bulk")
      ->default_str("interactive");
}

}  // namespace culturetag::client
