// culturetag-server: flags -> Config -> Server -> wait for a signal -> drain.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "base/logging.h"
#include "config.h"
#include "server.h"

namespace {

constexpr char kUsage[] =
    "Tags music over gRPC with a CultureMERT bundle.\n\n"
    "  culturetag-server --bundle=bundles/demo\n"
    "  culturetag-server --bundle=/models/culturemert-95m,/models/mert-95m --listen=0.0.0.0:50051\n"
    "  culturetag-server --flagfile=/etc/culturetag.flags\n\n"
    "SIGTERM and SIGINT drain the server; a second one ends it at once. SIGHUP has it look for new versions of the bundles.\n"
    "Exit codes: 0 after a full drain, 1 if requests were cut off or something failed, 2 for wrong flags.";

int Fail(const absl::Status& status, int code) {
  culturetag::LogError(status.message());
  return code;
}

// Waits for the signals, which every other thread has blocked. A server that has ended already is left alone.
void HandleSignals(sigset_t signals, std::weak_ptr<culturetag::Server> server) {
  std::thread([signals, server = std::move(server)] {
    int signal = 0;
    for (sigwait(&signals, &signal); signal == SIGHUP; sigwait(&signals, &signal)) {
      if (const auto running = server.lock()) running->RequestReload();
    }
    culturetag::LogInfo("stopping; a second signal ends the server at once", {{"signal", strsignal(signal)}});
    if (const auto running = server.lock()) running->RequestStop();
    do sigwait(&signals, &signal); while (signal == SIGHUP);
    _exit(128 + signal);
  }).detach();
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread is there, so that all inherit it
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow (RLIMIT_FSIZE) is an error of the call that writes it

  absl::SetProgramUsageMessage(kUsage);
  // The server's own flags, which all stand in config.cc.
  const auto own = [](absl::string_view file) { return absl::EndsWith(file, "config.cc"); };
  absl::SetFlagsUsageConfig({own, own, nullptr, [] { return std::string("culturetag-server " CULTURETAG_VERSION "\n"); }, nullptr});
  if (!culturetag::ParseFlags(argc, argv)) {
    return Fail(absl::InvalidArgumentError("unexpected argument; all settings are flags, see --help"), 2);
  }
  const absl::StatusOr<culturetag::Config> config = culturetag::ConfigFromFlags();
  if (!config.ok()) return Fail(config.status(), 2);
  culturetag::SetLogFormat(config->log_format);
  culturetag::LogInfo("configuration", culturetag::FlagValues());

  absl::StatusOr<std::unique_ptr<culturetag::Server>> created = culturetag::Server::Create(*config);
  if (!created.ok()) return Fail(created.status(), 1);
  const std::shared_ptr<culturetag::Server> server = *std::move(created);
  HandleSignals(signals, server);
  if (const absl::Status status = server->Load(); !status.ok()) {
    return absl::IsCancelled(status) ? 0 : Fail(status, 1);
  }
  server->WaitForStop();
  return server->Drain() ? 0 : 1;
}
