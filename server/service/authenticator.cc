#include "service/authenticator.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/error_details.h"

namespace culturetag {
namespace {

// Shorter ones can be guessed.
constexpr size_t kShortestToken = 16;

absl::Status Unauthenticated() {
  return absl::UnauthenticatedError("the call's `authorization` metadata must be `Bearer TOKEN` with a token that this server knows");
}

bool ParseLimit(absl::string_view text, ClientQuota::Limits& limits, absl::optional<double>& weight) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
  double value = 0;
  if (!absl::SimpleAtod(parts.second, &value) || !(value > 0 && value <= 1e9)) return false;
  const bool whole_at_least = value >= 1;  // or nothing would ever be let in
  if (parts.first == "requests_per_minute" && whole_at_least) {
    limits.requests_per_minute = value;
  } else if (parts.first == "audio_seconds_per_minute") {
    limits.audio_seconds_per_minute = value;
  } else if (parts.first == "streams" && whole_at_least) {
    limits.streams = static_cast<int>(value);
  } else if (parts.first == "weight" && value >= 0.001 && value <= 1000) {
    weight = value;
  } else {
    return false;
  }
  return true;
}

}  // namespace

ClientQuota::ClientQuota(std::string name, const Limits& limits, Clock& clock)
    : name_(std::move(name)), limits_(limits), clock_(clock), refilled_(clock.Now()) {
  if (limits.requests_per_minute) requests_ = Allowance{*limits.requests_per_minute, *limits.requests_per_minute};
  if (limits.audio_seconds_per_minute) {
    audio_seconds_ = Allowance{*limits.audio_seconds_per_minute, *limits.audio_seconds_per_minute};
  }
}

absl::Status ClientQuota::Begin(bool stream) {
  absl::MutexLock lock(&mutex_);
  Refill();
  if (stream && limits_.streams.has_value() && streams_ >= *limits_.streams) {
    return RetryLater(absl::StrCat("client ", name_, " has ", streams_, " streams; it may have no more"), absl::Seconds(5));
  }
  if (requests_.has_value() && requests_->left < 1) {
    return Exceeded("requests_per_minute", 1 - requests_->left, requests_->per_minute);
  }
  if (audio_seconds_.has_value() && audio_seconds_->left <= 0) {
    return Exceeded("audio_seconds_per_minute", -audio_seconds_->left, audio_seconds_->per_minute);
  }
  if (requests_.has_value()) requests_->left -= 1;
  if (stream) ++streams_;
  return absl::OkStatus();
}

void ClientQuota::EndStream() {
  absl::MutexLock lock(&mutex_);
  --streams_;
}

void ClientQuota::Charge(absl::Duration audio) {
  absl::MutexLock lock(&mutex_);
  Refill();
  if (audio_seconds_.has_value()) audio_seconds_->left -= absl::ToDoubleSeconds(audio);
}

void ClientQuota::Refill() {
  const absl::Time now = clock_.Now();
  const double minutes = absl::FDivDuration(now - refilled_, absl::Minutes(1));
  refilled_ = now;
  for (absl::optional<Allowance>* allowance : {&requests_, &audio_seconds_}) {
    if (!allowance->has_value()) continue;
    (*allowance)->left = std::min((*allowance)->per_minute, (*allowance)->left + minutes * (*allowance)->per_minute);
  }
}

absl::Status ClientQuota::Exceeded(absl::string_view limit, double missing, double per_minute) const {
  const absl::Duration delay = std::max(absl::Milliseconds(100), absl::Minutes(1) * (missing / per_minute));
  return RetryLater(absl::StrCat("client ", name_, " has used up its ", limit, " of ", per_minute), delay);
}

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Create(const std::string& path, Clock& clock) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("can't read the tokens in ", path));
  auto authenticator = std::make_unique<Authenticator>();
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const absl::Status status = authenticator->AddLine(absl::StripAsciiWhitespace(absl::string_view(line).substr(0, line.find('#'))), clock);
    if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ", line ", number, ": ", status.message()));
  }
  if (authenticator->clients_.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " names no client"));
  return authenticator;
}

absl::Status Authenticator::AddLine(absl::string_view line, Clock& clock) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.empty()) return absl::OkStatus();
  if (words.size() < 2) return absl::InvalidArgumentError("a line is NAME TOKEN [LIMIT=NUMBER ...]");
  if (words[1].size() < kShortestToken) {
    return absl::InvalidArgumentError(absl::StrCat("the token of ", words[0], " is shorter than ", kShortestToken, " characters"));
  }
  ClientQuota::Limits limits;
  absl::optional<double> weight;
  for (size_t i = 2; i < words.size(); ++i) {
    if (ParseLimit(words[i], limits, weight)) continue;
    return absl::InvalidArgumentError(absl::StrCat("'", words[i], "' is none of weight=, requests_per_minute=, "
                                                   "audio_seconds_per_minute= and streams= with a number above 0, of requests and streams at least 1"));
  }
  const std::string name(words[0]);
  for (const Client& client : clients_) {
    if (client.quota->name() == name) return absl::InvalidArgumentError(absl::StrCat("there are two clients ", name));
  }
  Client& client = clients_.emplace_back();
  client.token = Sha256Of(words[1]);
  client.quota = std::make_shared<ClientQuota>(name, limits, clock);
  if (weight.has_value()) weights_[name] = *weight;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ClientQuota>> Authenticator::Authenticate(absl::optional<absl::string_view> authorization) const {
  absl::string_view token = authorization.value_or("");
  const bool bearer = absl::StartsWithIgnoreCase(token, "bearer ");
  if (bearer) token = absl::StripAsciiWhitespace(token.substr(7));
  const Sha256Digest digest = Sha256Of(token);
  // Every client's token is looked at, and the whole of it, so that the time tells nothing.
  std::shared_ptr<ClientQuota> found;
  for (const Client& client : clients_) {
    if (EqualInConstantTime(digest, client.token)) found = client.quota;
  }
  if (!bearer || found == nullptr) return Unauthenticated();
  return found;
}

}  // namespace culturetag
