#ifndef HOLDFAST_TEST_HTTP_CERTIFICATE_H_
#define HOLDFAST_TEST_HTTP_CERTIFICATE_H_

// A certificate that signs itself, made when it is needed.

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace holdfast::test {

class Certificate {
 public:
  // `name` is a subjectAltName: "IP:127.0.0.1".
  explicit Certificate(const std::string& name)
      : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), x509_(X509_new(), X509_free) {
    X509* const x509 = x509_.get();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key_.get());
    X509_NAME* const subject = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("holdfast test"), -1, -1, 0);
    X509_set_issuer_name(x509, subject);
    X509_EXTENSION* const alt =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, name.c_str());
    X509_add_ext(x509, alt, -1);
    X509_EXTENSION_free(alt);
    X509_sign(x509, key_.get(), EVP_sha256());
  }

  X509* x509() const { return x509_.get(); }
  EVP_PKEY* key() const { return key_.get(); }

 private:
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> x509_;
};

// A certificate, and its key, as a PEM file, for as long as this lives.
class PemFile {
 public:
  explicit PemFile(const Certificate& certificate)
      : path_((std::filesystem::temp_directory_path() / "holdfast-XXXXXX").string()) {
    std::FILE* const file = ::fdopen(::mkstemp(path_.data()), "w");
    PEM_write_X509(file, certificate.x509());
    PEM_write_PrivateKey(file, certificate.key(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
  }
  PemFile(const PemFile&) = delete;
  PemFile& operator=(const PemFile&) = delete;
  ~PemFile() { std::filesystem::remove(path_); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_CERTIFICATE_H_
