// The TLS context of a pool, made anew when its files have changed.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_ROTATION_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_ROTATION_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "holdfast/base/time.h"
#include "src/http/net/tls_context.h"

namespace holdfast::http::internal {

// Thread-safe. A file has changed when its path leads to another inode, size or time of change: a
// symbolic link that was turned is a change. The files of an empty ca_file are the system's bundle.
//
// What is half written or does not go together, as a certificate whose key is yet to come, does not
// end a service that works: the context before stays in use, the reason is in reload_error(), and
// loading is tried again at each look until it succeeds or the files are what they were. A bundle
// that is rewritten in place may be read where it is whole but short; it is loaded again once the
// rest is there. To rename a new file over the old one avoids that.
class TlsContexts {
 public:
  static constexpr Duration kBetweenLooks = std::chrono::seconds(1);

  using Load = std::function<absl::StatusOr<std::shared_ptr<TlsContext>>(const TlsOptions&)>;

  // Loads nothing yet. Throws std::invalid_argument with the text of Validate.
  explicit TlsContexts(TlsOptions options, Load load = TlsContext::Load);
  TlsContexts(const TlsContexts&) = delete;
  TlsContexts& operator=(const TlsContexts&) = delete;

  // For a new connection. Looks at the files at most once in kBetweenLooks, where the first look
  // loads them. While one thread loads changed files, the others go on with the context before. For
  // the first one, without which there is no connection, they wait until `deadline` on the steady
  // clock (kDeadlineExceeded) or a stop (kCancelled); the thread that loads is bound by neither.
  // Where the first one can't be loaded, that is the error: TlsContext::Load says which. An
  // exception of loading passes through to who loads, and the next one tries again.
  absl::StatusOr<std::shared_ptr<TlsContext>> Get(TimePoint now,
                                                  TimePoint deadline = TimePoint::max(),
                                                  const std::stop_token& stop = {});

  // Why changed files are not in use; OK: they are, or there are none.
  absl::Status reload_error() const;

  const TlsOptions& options() const { return options_; }

 private:
  // What one path led to. A path to nothing has no inode.
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 3>;

  struct Loaded {
    Stamps stamps;
    absl::StatusOr<std::shared_ptr<TlsContext>> context;
  };

  static Stamp Look(const std::string& path);
  Stamps Look() const;
  void LoadIfChanged(std::unique_lock<std::mutex>& lock);

  const TlsOptions options_;
  const Load load_;
  mutable std::mutex mutex_;
  std::condition_variable_any over_;  // loading is
  TimePoint next_look_ = TimePoint::min();
  bool loading_ = false;                 // by one thread, which does not hold the mutex meanwhile
  Stamps stamps_;                        // of what current_ was made of
  std::shared_ptr<TlsContext> current_;  // null: none yet
  absl::Status error_;                   // of the last load
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_ROTATION_H_
