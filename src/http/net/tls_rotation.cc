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
TlsContexts::TlsContexts(TlsOptions options, Load load)
    : options_(holdfast::internal::Validated(std::move(options))), load_(std::move(load)) {
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

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContexts::Get(TimePoint now, TimePoint deadline,
                                                             const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool known =
      over_.wait_until(lock, stop, deadline, [this] { return current_ != nullptr || !loading_; });
  if (!known && stop.stop_requested()) return absl::CancelledError("TLS: stopped");
  if (!known) return absl::DeadlineExceededError("TLS: the files are still being loaded");
  if (!loading_ && now >= next_look_) {
    next_look_ = SaturatingAdd(now, kBetweenLooks);
    LoadIfChanged(lock);
  }
  if (current_ == nullptr) return error_;
  return current_;
}

// A file that changes while it is read has the stamp from before, so that the next look finds it
// changed again.
void TlsContexts::LoadIfChanged(std::unique_lock<std::mutex>& lock) {
  const bool first = current_ == nullptr;
  const Stamps used = stamps_;
  loading_ = true;
  lock.unlock();
  std::optional<Loaded> loaded;
  std::exception_ptr failure;
  try {
    const Stamps found = Look();
    if (first || found != used) loaded.emplace(Loaded{.stamps = found, .context = load_(options_)});
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  loading_ = false;
  over_.notify_all();
  if (failure && first) next_look_ = TimePoint::min();  // nothing is known for the others to see
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
