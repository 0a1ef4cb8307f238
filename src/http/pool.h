// The connections of a Transport.
#ifndef HOLDFAST_SRC_HTTP_POOL_H_
#define HOLDFAST_SRC_HTTP_POOL_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>

#include "holdfast/base/internal/process.h"
#include "holdfast/call/collector.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/http/transport.h"
#include "src/http/connection.h"
#include "src/http/exchange_meter.h"
#include "src/http/housekeeper.h"
#include "src/http/keep_alive.h"
#include "src/http/opener.h"
#include "src/http/origin.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

// Thread-safe.
class Pool final : public Tidied, public std::enable_shared_from_this<Pool> {
 public:
  // The options are valid; a route that is not is kept for the callers to see.
  Pool(absl::StatusOr<Route> route, TransportOptions options);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    if (visited_at_ != TimePoint::max()) Housekeeper::OfProcess().Forget(*this);
  }

  const absl::StatusOr<Route>& route() const { return route_; }
  const TransportOptions& options() const { return options_; }
  ExchangeMeter& meter() { return meter_; }

  // Waits for the right to have a connection. Errors as Semaphore::Acquire's.
  absl::StatusOr<Permit> Admit(TimePoint deadline, const std::stop_token& stop) {
    return open_.Acquire(1, {.deadline = deadline, .stop = stop});
  }

  // An idle one that is open, the latest used first; nullopt: there is none. For who was admitted,
  // as all that follows.
  std::optional<Connection> TakeIdle(TimePoint now);

  // A fresh one. Errors as Transport's.
  absl::StatusOr<Connection> Open(TimePoint deadline, const StopSignal& stop);

  // What Admit and Open go by, for a driver that waits in its own way.
  Semaphore& permits() { return open_; }
  Opener* opener() { return opener_ ? &*opener_ : nullptr; }  // null: there is no route
  Connection Begin(std::unique_ptr<Stream> stream);           // with what was opened now

  // After an exchange that left the connection fit for another; `hint` is what the server said of
  // that. It may be closed instead, now or later.
  void Keep(Connection connection, const KeepAliveHint& hint) noexcept;

  // Closes those that have been idle since that time or before: the peer was found to be gone.
  void DropIdle(TimePoint since) noexcept;

  // Counts an exchange while it lives.
  class Running {
   public:
    explicit Running(Pool& pool) : pool_(pool) {
      const std::lock_guard lock(pool_.mutex_);
      ++pool_.in_use_;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
      const std::lock_guard lock(pool_.mutex_);
      --pool_.in_use_;
    }

   private:
    Pool& pool_;
  };

  TransportStats stats() const;
  void Collect(Collector& collector) const;

  // In a child of fork() (process.h): another pool, while this one's connections stay the parent's.
  // The child only closes its copies of their descriptors, so that TLS says nothing and the parent
  // goes on with them; and the servers see them end when the parent ends them.
  // It counts from zero, and measures what this one does.
  std::shared_ptr<Pool> MakeAnew() const;
  void Abandon() noexcept { sockets_.CloseCopies(); }

  TimePoint TidyUp(TimePoint now) noexcept override;

 private:
  struct Idle {
    Connection connection;
    TimePoint since;
    TimePoint until;  // no use of it begins later
  };

  // Of those that `over` says it of, the one that has been idle for longest. False: there is none.
  template <class F>
  bool CloseOne(const F& over);

  const absl::StatusOr<Route> route_;
  const TransportOptions options_;
  ExchangeMeter meter_;
  ConnectionCounts counts_;
  // Who has a permit opens a connection only if none is idle, and gives one back before the permit;
  // who has none closes an idle one under the lock, so that nobody finds it gone before it is. So
  // connections that are idle and in use together are never more than there are permits.
  Semaphore open_;

  SocketList sockets_;
  std::optional<Opener> opener_;  // if there is a route
  mutable std::mutex mutex_;
  std::deque<Idle> idle_;                    // the latest at the back, which is used first
  TimePoint visited_at_ = TimePoint::max();  // when the housekeeper comes; max: it does not
  std::int64_t in_use_ = 0;
};

// Of a transport. Throws std::invalid_argument, with the text of Validate, for invalid options.
std::shared_ptr<holdfast::internal::PerProcess<Pool>> MakePool(std::string_view origin,
                                                               TransportOptions options);

// What a registry of metrics knows a transport by.
CollectedObject CollectedPool(const std::shared_ptr<holdfast::internal::PerProcess<Pool>>& pool,
                              std::string_view kind);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_POOL_H_
