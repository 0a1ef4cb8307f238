#ifndef HOLDFAST_TEST_HTTP_NET_TLS_IDENTITY_H_
#define HOLDFAST_TEST_HTTP_NET_TLS_IDENTITY_H_

// Authorities, what they sign, and files with it.

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace holdfast::test {

struct IdentityOptions {
  std::string alt = {};  // a subjectAltName: "DNS:a.example,IP:::1"; empty: none
  std::string common_name = "holdfast test";
  bool authority = false;
  long from = -3600;  // seconds from now
  long until = 3600;
  bool rsa = false;
};

// A certificate and its key.
class Identity {
 public:
  explicit Identity(const IdentityOptions& options, const Identity* issuer = nullptr)
      : key_(options.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), EVP_PKEY_free),
        x509_(X509_new(), X509_free) {
    static std::atomic<long> serial{1};
    X509_set_version(x509(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509()), serial.fetch_add(1, std::memory_order_relaxed));
    X509_gmtime_adj(X509_getm_notBefore(x509()), options.from);
    X509_gmtime_adj(X509_getm_notAfter(x509()), options.until);
    X509_set_pubkey(x509(), key());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(options.common_name.c_str()),
                               -1, -1, 0);
    const Identity& by = issuer != nullptr ? *issuer : *this;
    X509_set_issuer_name(x509(), X509_get_subject_name(by.x509()));
    if (options.authority) Extend(NID_basic_constraints, "critical,CA:TRUE");
    if (!options.alt.empty()) Extend(NID_subject_alt_name, options.alt);
    X509_sign(x509(), by.key(), EVP_sha256());
  }

  X509* x509() const { return x509_.get(); }
  EVP_PKEY* key() const { return key_.get(); }

  std::string CertificatePem() const {
    return Pem([this](BIO* bio) { PEM_write_bio_X509(bio, x509()); });
  }
  std::string KeyPem() const {
    return Pem([this](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  std::string EncryptedKeyPem() const {
    return Pem([this](BIO* bio) {
      const auto* const password = reinterpret_cast<const unsigned char*>("secret");
      PEM_write_bio_PrivateKey(bio, key(), EVP_aes_128_cbc(), password, 6, nullptr, nullptr);
    });
  }

 private:
  void Extend(int kind, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    X509_add_ext(x509(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  template <class F>
  static std::string Pem(const F& write) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    write(bio.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }

  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> x509_;
};

// A directory with files, for as long as this lives.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "holdfast-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string Path(const std::string& name) const { return (path_ / name).string(); }

  // In place of what has that name, as whoever rotates a file should: at once.
  std::string Put(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name + ".new")) << text;
    std::filesystem::rename(Path(name + ".new"), Path(name));
    return Path(name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_NET_TLS_IDENTITY_H_
