#include "service/tls_credentials.h"

#include <memory>
#include <utility>

#include "base/crypto.h"
#include "base/status_macros.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace culturetag {
namespace {

// How often gRPC looks at the files.
constexpr unsigned kRefreshSeconds = 5;

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeTlsCredentials(const TlsFiles& files) {
  CULTURETAG_RETURN_IF_ERROR(CheckKeyPair(files.key, files.certificate));
  const bool mutual = !files.client_ca.empty();
  if (mutual) CULTURETAG_RETURN_IF_ERROR(CheckCertificate(files.client_ca));
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(files.key, files.certificate, files.client_ca,
                                                                                       kRefreshSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(std::move(provider));
  options.watch_identity_key_cert_pairs();
  if (mutual) options.watch_root_certs();
  options.set_cert_request_type(mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace culturetag
