// Who may call, and how much: bearer tokens from a file.
//
// The file has a line for each client: its name, its token, and what it may do, separated by spaces; # begins a comment:
//
//     # name     token                              limits, all optional
//     ingest     h1yOZ4vLkq3rR0p2WZ8s6TqD           weight=2 streams=20
//     web        V7cGq0mS5bXw1eJt9Ua4yKfN           requests_per_minute=600 audio_seconds_per_minute=36000
//
// Tokens are kept as digests and compared in constant time; they are never logged. A client without limits has none.
//
// Thread-safe.
#ifndef CULTURETAG_SERVICE_AUTHENTICATOR_H_
#define CULTURETAG_SERVICE_AUTHENTICATOR_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/clock.h"
#include "base/crypto.h"

namespace culturetag {

// What a client has left of its limits. A minute's worth may be used at once and comes back evenly.
class ClientQuota {
 public:
  struct Limits {
    absl::optional<double> requests_per_minute;
    absl::optional<double> audio_seconds_per_minute;
    absl::optional<int> streams;  // at a time
  };

  ClientQuota(std::string name, const Limits& limits, Clock& clock);

  const std::string& name() const { return name_; }

  // Counts a request; a stream until EndStream. RESOURCE_EXHAUSTED with the delay after which a retry makes sense, if one of
  // the limits is reached.
  absl::Status Begin(bool stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndStream() ABSL_LOCKS_EXCLUDED(mutex_);
  // Counts audio that was tagged; what is too much is held against later requests.
  void Charge(absl::Duration audio) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Allowance {
    double per_minute = 0;
    double left = 0;
  };

  void Refill() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Exceeded(absl::string_view limit, double missing, double per_minute) const;

  const std::string name_;
  const Limits limits_;
  Clock& clock_;
  absl::Mutex mutex_;
  absl::optional<Allowance> requests_ ABSL_GUARDED_BY(mutex_);
  absl::optional<Allowance> audio_seconds_ ABSL_GUARDED_BY(mutex_);
  absl::Time refilled_ ABSL_GUARDED_BY(mutex_);
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
};

class Authenticator {
 public:
  // Reads the file at `path`. NOT_FOUND if it can't be read; INVALID_ARGUMENT naming the line that is wrong. `clock` must
  // outlive the authenticator.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Create(const std::string& path, Clock& clock);

  // The client whose token `authorization`, the value of that metadata ("Bearer TOKEN"), holds. UNAUTHENTICATED otherwise.
  absl::StatusOr<std::shared_ptr<ClientQuota>> Authenticate(absl::optional<absl::string_view> authorization) const;

  // By name, of those that the file gives one.
  const std::map<std::string, double>& weights() const { return weights_; }

 private:
  struct Client {
    Sha256Digest token;
    std::shared_ptr<ClientQuota> quota;
  };

  absl::Status AddLine(absl::string_view line, Clock& clock);

  std::vector<Client> clients_;
  std::map<std::string, double> weights_;
};

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_AUTHENTICATOR_H_
