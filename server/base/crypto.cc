#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace culturetag {
namespace {

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

}  // namespace

struct Sha256::Context {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> evp{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { EVP_DigestInit_ex(context_->evp.get(), EVP_sha256(), nullptr); }
Sha256::~Sha256() = default;

void Sha256::Update(absl::string_view bytes) { EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()); }

Sha256Digest Sha256::Finish() {
  Sha256Digest digest;
  EVP_DigestFinal_ex(context_->evp.get(), digest.data(), nullptr);
  return digest;
}

Sha256Digest Sha256Of(absl::string_view bytes) {
  Sha256 sha256;
  sha256.Update(bytes);
  return sha256.Finish();
}

bool EqualInConstantTime(const Sha256Digest& a, const Sha256Digest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::Status CheckCertificate(const std::string& path) { return ReadCertificate(path).status(); }

absl::Status CheckKeyPair(const std::string& key_path, const std::string& certificate_path) {
  CULTURETAG_ASSIGN_OR_RETURN(const auto certificate, ReadCertificate(certificate_path));
  CULTURETAG_ASSIGN_OR_RETURN(const auto file, Open(key_path));
  const std::unique_ptr<EVP_PKEY, Free> key(PEM_read_PrivateKey(file.get(), nullptr, &NoPassphrase, nullptr));
  if (key == nullptr) return absl::InvalidArgumentError(absl::StrCat(key_path, " holds no private key in PEM without a passphrase"));
  if (X509_check_private_key(certificate.get(), key.get()) == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the key in ", key_path, " isn't that of the certificate in ", certificate_path));
}

}  // namespace culturetag
