// TLS for the gRPC port, from files that may be replaced while the server runs.
#ifndef CULTURETAG_SERVICE_TLS_CREDENTIALS_H_
#define CULTURETAG_SERVICE_TLS_CREDENTIALS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"

namespace culturetag {

struct TlsFiles {
  std::string certificate;  // PEM, the chain of the server's certificate
  std::string key;          // PEM, its private key
  std::string client_ca;    // PEM; if not empty, clients must have a certificate that one of these has signed
};

// Credentials that look at the files every few seconds: new connections get what is there then. INVALID_ARGUMENT if a file
// can't be read, is no PEM, or if key and certificate don't belong together. Files that are wrong later on are not taken up:
// what was valid before goes on.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeTlsCredentials(const TlsFiles& files);

}  // namespace culturetag

#endif  // CULTURETAG_SERVICE_TLS_CREDENTIALS_H_
