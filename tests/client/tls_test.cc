// The client over TLS, with certificates that the test makes.
#include <stdlib.h>

#include <memory>
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/audio_file.h"
#include "client/fake_tagging_service.h"
#include "client/run_culturetag.h"
#include "fakes/temporary_folder.h"

namespace culturetag::client {
namespace {

using ::testing::StartsWith;

class TlsTest : public testing::Test {
 protected:
  // A certificate for 127.0.0.1 that vouches for itself, NAME.crt, with its key, NAME.key.
  void MakeCertificate(const std::string& name) {
    const std::string command =
        absl::StrCat("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=", name,
                     " -addext subjectAltName=IP:127.0.0.1 -keyout ", Path(name, ".key"), " -out ", Path(name, ".crt"), " 2>/dev/null");
    ASSERT_EQ(system(command.c_str()), 0);
  }

  std::string Path(const std::string& name, const std::string& extension) const {
    return folder_.path() + "/" + name + extension;
  }

  std::string Text(const std::string& path) const { return std::get<std::string>(ReadAudioFile(path, -1)); }

  // A server that shows the certificate `server` and lets in who shows `client`.
  std::shared_ptr<grpc::ServerCredentials> Credentials() const {
    grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_key_cert_pairs.push_back({Text(Path("server", ".key")), Text(Path("server", ".crt"))});
    options.pem_root_certs = Text(Path("client", ".crt"));
    return grpc::SslServerCredentials(options);
  }

  TemporaryFolder folder_;
};

TEST_F(TlsTest, ShowsItsCertificateToAServerThatItTrustsAndCallsNoOther) {
  MakeCertificate("server");
  MakeCertificate("client");
  FakeTaggingService service({}, {}, Credentials());
  const Finished known =
      RunCulturetag({"models", "--server", service.address(), "--tls-ca", Path("server", ".crt"), "--tls-cert",
                     Path("client", ".crt"), "--tls-key", Path("client", ".key")});
  EXPECT_EQ(known.out, "The server has no models.\n") << known.err;

  const Finished stranger = RunCulturetag({"models", "--server", service.address(), "--tls-ca", Path("client", ".crt"),
                                           "--tls-cert", Path("client", ".crt"), "--tls-key", Path("client", ".key")});
  EXPECT_EQ(stranger.exit_code, 1);
  EXPECT_THAT(stranger.err, StartsWith("culturetag: models: UNAVAILABLE: "));
}

}  // namespace
}  // namespace culturetag::client
