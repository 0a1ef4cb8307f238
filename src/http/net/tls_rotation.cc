#include "src/http/net/tls_rotation.h"

#include <openssl/x509.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "holdfast/base/internal/validate.h"
#include "src/http/net/tls_error.h"

namespace holdfast::http::internal {
namespace {

// Where OpenSSL looks for the system's authorities.
std::string SystemBundle() {
  const char* const named = ::secure_getenv(X509_get_default_cert_file_env());
  return named != nullptr ? named : X509_get_default_cert_file();
}

}  // namespace

// OpenSSL ends itself at exit if it has begun before. It begins here, so that an object with static
// storage duration that has connections is destroyed before that.
TlsContexts::TlsContexts(TlsOptions options)
    : options_(holdfast::internal::Validated(std::move(options))) {
  const TlsErrorQueue queue;
  (void)OPENSSL_init_ssl(0, nullptr);  // where it fails there is no context either
}

TlsContexts::Stamp TlsContexts::Look(const std::string& path) {
  struct stat status = {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0) return {};
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .seconds = status.st_mtim.tv_sec,
          .nanoseconds = status.st_mtim.tv_nsec};
}

TlsContexts::Stamps TlsContexts::Look() const {
  const bool of_system = options_.ca_file.empty() && options_.verify;
  return {Look(of_system ? SystemBundle() : options_.ca_file), Look(options_.client_cert_file),
          Look(options_.client_key_file)};
}

// A file that changes while it is read has the stamp from before, so that the next look finds it
// changed again.
TlsContexts::Loaded TlsContexts::Load(const Stamps& stamps) const {
  return {.stamps = stamps, .context = TlsContext::Load(options_)};
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContexts::Get(TimePoint now) {
  std::unique_lock lock(mutex_);
  if (reloading_ || now < next_look_) {
    if (current_ == nullptr) return error_;
    return current_;
  }
  next_look_ = SaturatingAdd(now, kBetweenLooks);
  if (current_ != nullptr) {
    Reload(lock);
    return current_;
  }
  Loaded first = Load(Look());
  error_ = first.context.status();
  if (!first.context.ok()) return error_;
  stamps_ = first.stamps;
  current_ = *std::move(first.context);
  return current_;
}

void TlsContexts::Reload(std::unique_lock<std::mutex>& lock) {
  const Stamps used = stamps_;
  reloading_ = true;
  lock.unlock();
  std::optional<Loaded> loaded;
  std::exception_ptr failure;
  try {
    const Stamps found = Look();
    if (found != used) loaded = Load(found);
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  reloading_ = false;
  if (failure) std::rethrow_exception(failure);
  error_ = loaded ? loaded->context.status() : absl::OkStatus();
  if (!loaded || !error_.ok()) return;
  stamps_ = loaded->stamps;
  current_ = *std::move(loaded->context);
}

absl::Status TlsContexts::reload_error() const {
  const std::lock_guard lock(mutex_);
  return current_ != nullptr ? error_ : absl::OkStatus();
}

}  // namespace holdfast::http::internal
