#include "service/tls_credentials.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace culturetag {
namespace {

// How often gRPC looks at the files.
constexpr unsigned kRefreshSeconds = 5;

struct Free {
  void operator()(std::FILE* file) const { std::fclose(file); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

absl::StatusOr<std::unique_ptr<std::FILE, Free>> Open(const std::string& path) {
  std::unique_ptr<std::FILE, Free> file(std::fopen(path.c_str(), "r"));
  if (file == nullptr) return absl::InvalidArgumentError(absl::StrCat("can't read ", path));
  return file;
}

absl::StatusOr<std::unique_ptr<X509, Free>> ReadCertificate(const std::string& path) {
  CULTURETAG_ASSIGN_OR_RETURN(const auto file, Open(path));
  std::unique_ptr<X509, Free> certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return absl::InvalidArgumentError(absl::StrCat(path, " holds no certificate in PEM"));
  return certificate;
}

// Without asking for a passphrase on the terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::Status CheckFiles(const TlsFiles& files) {
  CULTURETAG_ASSIGN_OR_RETURN(const auto certificate, ReadCertificate(files.certificate));
  CULTURETAG_ASSIGN_OR_RETURN(const auto file, Open(files.key));
  const std::unique_ptr<EVP_PKEY, Free> key(PEM_read_PrivateKey(file.get(), nullptr, &NoPassphrase, nullptr));
  if (key == nullptr) return absl::InvalidArgumentError(absl::StrCat(files.key, " holds no private key in PEM without a passphrase"));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("the key in ", files.key, " isn't that of the certificate in ", files.certificate));
  }
  if (!files.client_ca.empty()) CULTURETAG_RETURN_IF_ERROR(ReadCertificate(files.client_ca).status());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeTlsCredentials(const TlsFiles& files) {
  CULTURETAG_RETURN_IF_ERROR(CheckFiles(files));
  const bool mutual = !files.client_ca.empty();
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
