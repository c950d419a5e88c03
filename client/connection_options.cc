#include "client/connection_options.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "client/audio_file.h"

namespace culturetag::client {
namespace {

constexpr int kNoInput = -1;  // certificates don't come from standard input

// Whether gRPC metadata can carry it.
bool IsVisibleAscii(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isgraph);
}

// Throws CLI::ValidationError, the way in which CLI11 wants to hear of values that it can't check itself.
absl::Duration ParseTimeout(const std::string& text) {
  absl::Duration timeout;
  if (!absl::ParseDuration(text, &timeout) || timeout <= absl::ZeroDuration()) {
    throw CLI::ValidationError("--timeout", absl::StrCat("`", text, "` is no duration; write 500ms, 60s or 2m"));
  }
  return timeout;
}

void AddTlsOptions(CLI::App& command, ConnectionOptions& options) {
  const auto existing_file = CLI::Validator(CLI::ExistingFile).description("");
  command.add_option("--tls-ca", options.tls_ca, "Speak TLS, to servers with a certificate by one of these authorities")
      ->type_name("PEM")
      ->check(existing_file);
  CLI::Option* const certificate =
      command.add_option("--tls-cert", options.tls_certificate, "Speak TLS and show the server this certificate")
          ->type_name("PEM")
          ->check(existing_file);
  CLI::Option* const key = command.add_option("--tls-key", options.tls_key, "The key of --tls-cert")
                               ->type_name("PEM")
                               ->check(existing_file);
  certificate->needs(key);
  key->needs(certificate);
}

// The file's text, or nothing where `path` is empty.
Outcome<std::string> ReadOptional(const std::string& path) {
  if (path.empty()) return std::string();
  Outcome<std::string> text = ReadAudioFile(path, kNoInput);
  if (auto* const failure = std::get_if<Failure>(&text)) {
    failure->message = absl::StrCat(path, ": ", failure->message);
  }
  return text;
}

Outcome<std::string> ReadToken(const ConnectionOptions& options) {
  if (options.token_file.empty()) return options.client.token;
  Outcome<std::string> token = ReadOptional(options.token_file);
  if (std::holds_alternative<Failure>(token)) return token;
  absl::StripAsciiWhitespace(&std::get<std::string>(token));
  if (IsVisibleAscii(std::get<std::string>(token))) return token;
  Failure failure;
  failure.code = "INVALID_ARGUMENT";
  failure.message =
      absl::StrCat(options.token_file, ": holds no token: one line of visible ASCII characters is expected");
  return failure;
}

Outcome<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const ConnectionOptions& options) {
  if (options.tls_ca.empty() && options.tls_certificate.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  for (const auto& [path, text] : {std::pair(&options.tls_ca, &ssl.pem_root_certs),
                                   std::pair(&options.tls_certificate, &ssl.pem_cert_chain),
                                   std::pair(&options.tls_key, &ssl.pem_private_key)}) {
    Outcome<std::string> pem = ReadOptional(*path);
    if (auto* const failure = std::get_if<Failure>(&pem)) return std::move(*failure);
    *text = std::get<std::string>(std::move(pem));
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

void AddConnectionOptions(CLI::App& command, ConnectionOptions& options) {
  command.add_option("--server", options.client.server, "Where culturetag-server listens")
      ->type_name("HOST:PORT")
      ->envname("CULTURETAG_SERVER")
      ->capture_default_str()
      ->check([](const std::string& server) {
        return server.find(':') == std::string::npos ? absl::StrCat("`", server, "` has no port; write HOST:PORT") : "";
      });
  command
      .add_option_function<std::string>(
          "--timeout", [&options](const std::string& text) { options.client.timeout = ParseTimeout(text); },
          "How long each call may take, retries included; in a stream of a file, how long nothing may move")
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(options.client.timeout));
  const auto visible_ascii = [](const std::string& text) {
    return IsVisibleAscii(text) ? "" : "visible ASCII characters are expected";
  };
  command.add_option("--token", options.client.token, "The bearer token that the server asks for; see --token-file")
      ->type_name("TOKEN")
      ->envname("CULTURETAG_TOKEN")
      ->check(visible_ascii);
  command
      .add_option("--token-file", options.token_file,
                  "File with the token: other users of the machine see command lines. Sent in the clear without TLS")
      ->type_name("FILE")
      ->check(CLI::Validator(CLI::ExistingFile).description(""));
  command
      .add_option("--client-id", options.client.client_id,
                  "Whose share of the server the calls count against; the default is this machine's address")
      ->type_name("NAME")
      ->check(visible_ascii);
  AddTlsOptions(command, options);
}

Outcome<std::unique_ptr<TaggingClient>> Connect(const ConnectionOptions& options, Retries retries) {
  Outcome<std::string> token = ReadToken(options);
  if (auto* const failure = std::get_if<Failure>(&token)) return std::move(*failure);
  Outcome<std::shared_ptr<grpc::ChannelCredentials>> credentials = Credentials(options);
  if (auto* const failure = std::get_if<Failure>(&credentials)) return std::move(*failure);
  TaggingClient::Options client = options.client;
  client.token = std::get<std::string>(std::move(token));
  Channels channels =
      CreateChannels(client.server, std::get<std::shared_ptr<grpc::ChannelCredentials>>(credentials));
  if (retries == Retries::kNone) channels.calls = channels.streams;
  return std::make_unique<TaggingClient>(client, channels);
}

}  // namespace culturetag::client
