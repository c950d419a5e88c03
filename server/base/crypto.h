// Digests, comparisons that tell nothing by their time, and keys: what the server needs of OpenSSL.
//
// Free functions and values; Sha256 is thread-compatible.
#ifndef CULTURETAG_BASE_CRYPTO_H_
#define CULTURETAG_BASE_CRYPTO_H_

#include <array>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace culturetag {

using Sha256Digest = std::array<unsigned char, 32>;

// A digest of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(absl::string_view bytes);
  // Call it once, last.
  Sha256Digest Finish();

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

Sha256Digest Sha256Of(absl::string_view bytes);

// Takes as long for any two digests.
bool EqualInConstantTime(const Sha256Digest& a, const Sha256Digest& b);

// INVALID_ARGUMENT, naming the file, if `path` holds no certificate in PEM.
absl::Status CheckCertificate(const std::string& path);

// INVALID_ARGUMENT, naming the file, if one of them can't be read or is no PEM, or if they don't belong together.
absl::Status CheckKeyPair(const std::string& key_path, const std::string& certificate_path);

}  // namespace culturetag

#endif  // CULTURETAG_BASE_CRYPTO_H_
