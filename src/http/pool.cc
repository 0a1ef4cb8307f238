#include "src/http/pool.h"

#include <algorithm>
#include <new>
#include <utility>

#include "src/http/sigpipe.h"

namespace holdfast::http::internal {

Pool::Pool(absl::StatusOr<Route> route, TransportOptions options)
    : route_(std::move(route)),
      options_(std::move(options)),
      open_({.limit = std::min(options_.max_connections, Semaphore::kMaxLimit)}) {}

Pool::~Pool() {
  const SigpipeGuard guard;  // TLS says goodbye
  idle_.clear();
}

std::unique_ptr<Connection> Pool::Take(bool fresh, TimePoint now) {
  RecycleExpired(now);
  std::unique_ptr<Connection> connection = fresh ? nullptr : TakeIdle();
  // Closing a connection is no work to do under the lock, nor is looking whether it is open.
  while (connection != nullptr && !connection->Quiet()) {
    Recycle(std::move(connection));
    connection = TakeIdle();
  }
  {
    const std::lock_guard lock(mutex_);
    if (connection == nullptr && !spare_.empty()) {
      connection = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (connection == nullptr) connection = std::make_unique<Connection>(*route_, options_, sockets_);
  connection->Begin();
  const std::lock_guard lock(mutex_);
  ++stats_.in_use;
  return connection;
}

std::unique_ptr<Connection> Pool::TakeIdle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(idle_.back().connection);
  idle_.pop_back();
  return connection;
}

void Pool::Return(std::unique_ptr<Connection> connection, Fate fate) noexcept {
  {
    const std::lock_guard lock(mutex_);
    --stats_.in_use;
    stats_.opened += connection->opened() ? 1 : 0;
    stats_.reused += connection->reused() ? 1 : 0;
  }
  try {
    if (fate == Fate::kKeep) Keep(std::move(connection));
    if (fate == Fate::kClose) Recycle(std::move(connection));
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then it is closed
  }
}

void Pool::Keep(std::unique_ptr<Connection> connection) {
  const TimePoint now = holdfast::internal::ReadClock(nullptr);
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back({.connection = std::move(connection), .since = now});
  }
  RecycleExpired(now);
}

void Pool::Recycle(std::unique_ptr<Connection> connection) {
  if (!route_->origin.tls) return;
  connection->Close();
  const std::lock_guard lock(mutex_);
  if (std::cmp_less(spare_.size(), options_.max_idle)) spare_.push_back(std::move(connection));
}

// The oldest are at the front.
void Pool::RecycleExpired(TimePoint now) {
  for (;;) {
    std::unique_ptr<Connection> expired;
    {
      const std::lock_guard lock(mutex_);
      if (idle_.empty() || (SaturatingSub(now, idle_.front().since) <= options_.idle_timeout &&
                            std::cmp_less_equal(idle_.size(), options_.max_idle))) {
        return;
      }
      expired = std::move(idle_.front().connection);
      idle_.pop_front();
    }
    Recycle(std::move(expired));
  }
}

TransportStats Pool::stats() const {
  const std::lock_guard lock(mutex_);
  TransportStats stats = stats_;
  stats.idle = static_cast<std::int64_t>(idle_.size());
  stats.queued = open_.queued();
  return stats;
}

}  // namespace holdfast::http::internal
