// The options that every command has: which server, and who asks.
#ifndef CULTURETAG_CLIENT_CONNECTION_OPTIONS_H_
#define CULTURETAG_CLIENT_CONNECTION_OPTIONS_H_

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "client/failure.h"
#include "client/tagging_client.h"

namespace culturetag::client {

struct ConnectionOptions {
  TaggingClient::Options client;
  std::string token_file;
  // PEM files. All empty: no TLS.
  std::string tls_ca;
  std::string tls_certificate;
  std::string tls_key;
};

// `options` must outlive the parsing.
void AddConnectionOptions(CLI::App& command, ConnectionOptions& options);

// Whether refused calls are tried again.
enum class Retries { kByPolicy, kNone };

// A client with the tokens and certificates of the files. Fails with INVALID_ARGUMENT where a file holds no token, or
// with what reading one fails with; the message names the file.
Outcome<std::unique_ptr<TaggingClient>> Connect(const ConnectionOptions& options, Retries retries = Retries::kByPolicy);

}  // namespace culturetag::client

#endif  // CULTURETAG_CLIENT_CONNECTION_OPTIONS_H_
