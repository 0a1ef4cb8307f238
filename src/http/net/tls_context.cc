#include "src/http/net/tls_context.h"

#include <absl/strings/str_cat.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/http/transport_error.h"
#include "src/http/net/tls_error.h"

namespace holdfast::http::internal {
namespace {

constexpr std::string_view kClient = "the client's certificate or key";
constexpr std::string_view kAuthorities = "the bundle of CA certificates";

// OpenSSL would ask for a password at the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

// Why `file` is not tried; empty: it is. To open a pipe would take as long as its writer likes.
std::string WhyNot(const std::string& file) {
  struct stat status = {};
  if (::stat(file.c_str(), &status) != 0) return std::generic_category().message(errno);
  return S_ISREG(status.st_mode) ? "" : "not a regular file";
}

// Calls OpenSSL's `load`, which returns 1 if it succeeds.
template <class F>
absl::Status LoadFile(std::string_view what, const std::string& file, const F& load) {
  if (const std::string why = WhyNot(file); !why.empty()) return LoadError(what, file, why);
  const TlsErrorQueue queue;
  return load(file.c_str()) == 1 ? absl::OkStatus() : LoadError(what, file, queue);
}

absl::Status SetupError(std::string_view what, const TlsErrorQueue& queue) {
  return WithTransportError(
      absl::FailedPreconditionError(
          absl::StrCat("TLS: OpenSSL refuses ", std::string(what), ": ", TlsReason(queue.Cause()))),
      TransportError::kTls);
}

}  // namespace

absl::Status Validate(const TlsOptions& options) {
  holdfast::internal::OptionsChecker check("TLS");
  check(options.client_cert_file.empty() == options.client_key_file.empty(),
        "client_cert_file and client_key_file go together");
  check(options.min_version == TLS1_2_VERSION || options.min_version == TLS1_3_VERSION,
        "min_version must be TLS1_2_VERSION or TLS1_3_VERSION");
  check(options.alpn.size() <= 255, "alpn must have at most 255 bytes");
  for (const std::string* const file :
       {&options.ca_file, &options.client_cert_file, &options.client_key_file}) {
    check(file->find('\0') == std::string::npos, "the name of a file must not contain a NUL");
  }
  return check.status();
}

TlsContext::TlsContext(const TlsOptions& options)
    : verify_(options.verify), alpn_(options.alpn), context_(SSL_CTX_new(TLS_client_method())) {}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::Load(const TlsOptions& options) {
  if (absl::Status valid = Validate(options); !valid.ok()) return valid;
  const TlsErrorQueue queue;
  std::shared_ptr<TlsContext> context(new TlsContext(options));
  if (context->get() == nullptr) return SetupError("a context", queue);
  if (absl::Status status = context->Configure(options); !status.ok()) return status;
  // The client's files first: they are small, and the likelier to be wrong.
  if (absl::Status status = context->LoadClient(options); !status.ok()) return status;
  if (absl::Status status = context->LoadAuthorities(options); !status.ok()) return status;
  return context;
}

absl::Status TlsContext::Configure(const TlsOptions& options) {
  SSL_CTX* const context = context_.get();
  const TlsErrorQueue queue;
  // The system's configuration, which OpenSSL has read, may ask for more or let less pass.
  const long min_version =
      std::max<long>(options.min_version, SSL_CTX_get_min_proto_version(context));
  if (SSL_CTX_set_min_proto_version(context, static_cast<int>(min_version)) != 1) {
    return SetupError("the minimum version", queue);
  }
  SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);  // one system call a record in place of two
  SSL_CTX_set_verify(context, verify_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_default_passwd_cb(context, NoPassword);
  sessions_.Attach(context);
  if (alpn_.empty()) return absl::OkStatus();
  // A list of names, each after its length; 0 is success here.
  const std::string names = static_cast<char>(static_cast<unsigned char>(alpn_.size())) + alpn_;
  const int result =
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(names.data()),
                              static_cast<unsigned>(names.size()));
  return result == 0 ? absl::OkStatus() : SetupError("the protocol for ALPN", queue);
}

absl::Status TlsContext::LoadClient(const TlsOptions& options) {
  if (options.client_cert_file.empty()) return absl::OkStatus();
  SSL_CTX* const context = context_.get();
  absl::Status status = LoadFile(kClient, options.client_cert_file, [context](const char* file) {
    return SSL_CTX_use_certificate_chain_file(context, file);
  });
  if (!status.ok()) return status;
  return LoadFile(kClient, options.client_key_file, [context](const char* file) {
    const int loaded = SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM);
    return loaded == 1 ? SSL_CTX_check_private_key(context) : loaded;  // the certificate's key
  });
}

// Without verification they are not asked, but a file that is named must be there all the same.
absl::Status TlsContext::LoadAuthorities(const TlsOptions& options) {
  SSL_CTX* const context = context_.get();
  if (options.ca_file.empty()) {
    if (!verify_) return absl::OkStatus();
    const TlsErrorQueue queue;
    return SSL_CTX_set_default_verify_paths(context) == 1
               ? absl::OkStatus()
               : SetupError("the system's authorities", queue);
  }
  X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_PARTIAL_CHAIN);
  return LoadFile(kAuthorities, options.ca_file,
                  [context](const char* file) { return SSL_CTX_load_verify_file(context, file); });
}

}  // namespace holdfast::http::internal
