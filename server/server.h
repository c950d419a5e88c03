// The server: everything put together, from a Config to listening ports.
//
// Life: Create opens the ports, with health NOT_SERVING; Load loads and warms the models and turns it to SERVING; Drain
// turns it back, lets accepted requests end and closes the ports. All but RequestStop and RequestReload belong to one thread.
#ifndef CULTURETAG_SERVER_H_
#define CULTURETAG_SERVER_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config.h"

namespace culturetag {

class Server {
 public:
  // Checks the bundles and opens the ports. The error says which flag, bundle or port is at fault.
  static absl::StatusOr<std::unique_ptr<Server>> Create(const Config& config);

  // Drains if that wasn't done.
  virtual ~Server() = default;

  // The ports; `metrics_port` is 0 if there is none.
  virtual int port() const = 0;
  virtual int metrics_port() const = 0;

  // Loads the models and warms them up; then requests are served. CANCELLED after RequestStop.
  virtual absl::Status Load() = 0;

  // Has the bundles looked at: those that have changed are loaded and take the place of the present ones, while the server
  // serves (service/model_reloader.h). No effect while it loads or drains. Thread-safe; returns at once.
  virtual void RequestReload() = 0;

  // Makes WaitForStop return, and a Load that is under way end early. Thread-safe; any number of times.
  virtual void RequestStop() = 0;
  // Blocks until RequestStop.
  virtual void WaitForStop() = 0;

  // Health to NOT_SERVING; --drain_delay, in which requests are still accepted; then refuses new ones and waits for those
  // accepted until --drain_timeout. Returns whether none was cut off.
  virtual bool Drain() = 0;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVER_H_
