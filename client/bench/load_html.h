// What a load test found, as a web page that needs nothing else.
//
// A pure function.
#ifndef CULTURETAG_CLIENT_BENCH_LOAD_HTML_H_
#define CULTURETAG_CLIENT_BENCH_LOAD_HTML_H_

#include <string>
#include <vector>

#include "client/bench/load_report.h"

namespace culturetag::client {

// The latency by percentile, a line for each step, and each step's LoadText.
std::string LoadHtml(const std::vector<LoadStep>& steps, const Goal& goal);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_BENCH_LOAD_HTML_H_
