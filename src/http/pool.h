// The connections of a Transport.
#ifndef HOLDFAST_SRC_HTTP_POOL_H_
#define HOLDFAST_SRC_HTTP_POOL_H_

#include <absl/status/statusor.h>

#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "connection.h"
#include "holdfast/http/transport.h"
#include "origin.h"
#include "watchdog.h"

namespace holdfast::http::internal {

// Thread-safe. What it hands out, what it gets back and what it closes happens under the caller's
// SigpipeGuard.
class Pool {
 public:
  // The options are valid; an origin that is not is kept for the callers to see.
  Pool(absl::StatusOr<Origin> origin, TransportOptions options);
  ~Pool();

  const absl::StatusOr<Origin>& origin() const { return origin_; }
  const TransportOptions& options() const { return options_; }
  Watchdog& watchdog() { return watchdog_; }

  // What becomes of a connection after its exchange.
  enum class Fate {
    kDestroy,  // its client is in no state to be used
    kClose,    // the connection is not, but its client is
    kKeep,     // it is fit for another exchange
  };

  // A connection for one exchange.
  class Lease {
   public:
    explicit Lease(Pool& pool) : pool_(pool), connection_(pool.Take()) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.Return(std::move(connection_), fate_); }

    Connection& operator*() { return *connection_; }
    Connection* operator->() { return connection_.get(); }
    void Decide(Fate fate) { fate_ = fate; }

   private:
    Pool& pool_;
    std::unique_ptr<Connection> connection_;
    Fate fate_ = Fate::kDestroy;
  };

  TransportStats stats() const;

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    TimePoint since;
  };

  std::unique_ptr<Connection> Take();
  std::unique_ptr<Connection> TakeIdle();
  void Return(std::unique_ptr<Connection> connection, Fate fate);
  void Keep(std::unique_ptr<Connection> connection);
  void Recycle(std::unique_ptr<Connection> connection);
  void RecycleExpired(TimePoint now);

  const absl::StatusOr<Origin> origin_;
  const TransportOptions options_;
  Watchdog watchdog_;

  mutable std::mutex mutex_;
  std::deque<Idle> idle_;  // the latest at the back, which is used first
  // Closed, and of TLS only: a client that has loaded the system's authorities once saves the next
  // connection the tens of milliseconds which that takes.
  std::vector<std::unique_ptr<Connection>> spare_;
  TransportStats stats_;  // but for idle
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_POOL_H_
