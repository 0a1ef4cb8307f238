// The connections of a Transport.
#ifndef HOLDFAST_SRC_HTTP_POOL_H_
#define HOLDFAST_SRC_HTTP_POOL_H_

#include <absl/status/statusor.h>

#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include "holdfast/concurrency/semaphore.h"
#include "holdfast/http/transport.h"
#include "src/http/connection.h"
#include "src/http/origin.h"
#include "src/http/socket_list.h"
#include "src/http/watchdog.h"

namespace holdfast::http::internal {

// Thread-safe. What it hands out, what it gets back and what it closes happens under the caller's
// SigpipeGuard.
class Pool {
 public:
  // The options are valid; a route that is not is kept for the callers to see.
  Pool(absl::StatusOr<Route> route, TransportOptions options);
  ~Pool();

  const absl::StatusOr<Route>& route() const { return route_; }
  const TransportOptions& options() const { return options_; }
  Watchdog& watchdog() { return watchdog_; }

  // What becomes of a connection after its exchange.
  enum class Fate {
    kDestroy,  // its client is in no state to be used
    kClose,    // the connection is not, but its client is
    kKeep,     // it is fit for another exchange
  };

  // Waits for the right to have a connection. Errors as Semaphore::Acquire's.
  absl::StatusOr<Permit> Admit(TimePoint deadline, const std::stop_token& stop) {
    return open_.Acquire(1, {.deadline = deadline, .stop = stop});
  }

  // A connection for one exchange, for who was admitted; a fresh one is no idle one.
  class Lease {
   public:
    Lease(Pool& pool, bool fresh)
        : pool_(pool),
          taken_(holdfast::internal::ReadClock(nullptr)),
          connection_(pool.Take(fresh, taken_)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.Return(std::move(connection_), fate_); }

    Connection& operator*() { return *connection_; }
    Connection* operator->() { return connection_.get(); }
    void Decide(Fate fate) { fate_ = fate; }
    bool kept() const { return fate_ == Fate::kKeep; }
    TimePoint taken() const { return taken_; }

   private:
    Pool& pool_;
    const TimePoint taken_;
    std::unique_ptr<Connection> connection_;
    Fate fate_ = Fate::kDestroy;
  };

  TransportStats stats() const;

  // In a child of fork() (process.h): another pool, while this one's connections stay the parent's.
  // The child only closes its copies of their descriptors, so that TLS says nothing and the parent
  // goes on with them; and the servers see them end when the parent ends them.
  std::shared_ptr<Pool> MakeAnew() const { return std::make_shared<Pool>(route_, options_); }
  void Abandon() noexcept { sockets_.CloseCopies(); }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    TimePoint since;
  };

  std::unique_ptr<Connection> Take(bool fresh, TimePoint now);
  std::unique_ptr<Connection> TakeIdle();
  void Return(std::unique_ptr<Connection> connection, Fate fate) noexcept;
  void Keep(std::unique_ptr<Connection> connection);
  void Recycle(std::unique_ptr<Connection> connection);
  void RecycleExpired(TimePoint now);

  const absl::StatusOr<Route> route_;
  const TransportOptions options_;
  Watchdog watchdog_;
  // Who has a permit opens a connection only if none is idle, and gives one back before the permit:
  // those that are idle and in use together are never more than there are permits.
  Semaphore open_;

  SocketList sockets_;
  mutable std::mutex mutex_;
  std::deque<Idle> idle_;  // the latest at the back, which is used first
  // Closed, and of TLS only: a client that has loaded the system's authorities once saves the next
  // connection the tens of milliseconds which that takes.
  std::vector<std::unique_ptr<Connection>> spare_;
  TransportStats stats_;  // but for idle and queued
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_POOL_H_
