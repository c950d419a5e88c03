// The options of every command that has audio tagged: what of the model to use, and how the requests rank.
#ifndef CULTURETAG_CLIENT_REQUEST_OPTIONS_H_
#define CULTURETAG_CLIENT_REQUEST_OPTIONS_H_

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "culturetag/v1/tagging.pb.h"

namespace culturetag::client {

// Both write to their second argument, which must outlive the parsing.
void AddHeadsOption(CLI::App& command, std::vector<std::string>& heads);
void AddPriorityOption(CLI::App& command, v1::Priority& priority);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_REQUEST_OPTIONS_H_
