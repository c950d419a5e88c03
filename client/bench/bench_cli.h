// The command line of `culturetag bench`.
#ifndef CULTURETAG_CLIENT_BENCH_BENCH_CLI_H_
#define CULTURETAG_CLIENT_BENCH_BENCH_CLI_H_

#include <CLI/CLI.hpp>

#include "client/bench/bench_command.h"

namespace culturetag::client {

// `options` must outlive the parsing, which leaves them free of contradictions.
CLI::App* AddBenchCommand(CLI::App& app, BenchOptions& options);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_BENCH_CLI_H_
