#include "src/http/pool.h"

#include <absl/random/random.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "holdfast/base/internal/random.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;

// A connection lasts for nine tenths to all of max_age, so that those which began together do not
// end together.
Duration AgeLimit(Duration max_age) {
  if (max_age == Duration::max()) return max_age;
  const std::int64_t tenth = max_age.count() / 10;
  auto& random = holdfast::internal::ThreadRandom();
  return max_age - Duration(absl::Uniform<std::int64_t>(absl::IntervalClosed, random, 0, tenth));
}

}  // namespace

Pool::Pool(absl::StatusOr<Route> route, TransportOptions options)
    : route_(std::move(route)),
      options_(std::move(options)),
      meter_(route_),
      open_({.limit = std::min(options_.max_connections, Semaphore::kMaxLimit)}) {
  if (route_.ok()) opener_.emplace(*route_, options_, sockets_);
}

std::optional<Connection> Pool::TakeIdle(TimePoint now) {
  for (;;) {
    std::optional<Connection> connection;
    TimePoint until;
    {
      const std::lock_guard lock(mutex_);
      if (idle_.empty()) return std::nullopt;
      connection = std::move(idle_.back().connection);
      until = idle_.back().until;
      idle_.pop_back();
    }
    // Neither closing a connection nor looking whether it is open is work to do under the lock.
    if (now <= until && connection->stream().Quiet()) {
      counts_.reused.fetch_add(1, std::memory_order_relaxed);
      return connection;
    }
  }
}

absl::StatusOr<Connection> Pool::Open(TimePoint deadline, const StopSignal& stop) {
  if (!opener_) return route_.status();
  auto stream = opener_->Open(deadline, stop);
  if (!stream.ok()) return stream.status();
  return Begin(*std::move(stream));
}

Connection Pool::Begin(std::unique_ptr<Stream> stream) {
  const TimePoint ends_at = SaturatingAdd(ReadClock(nullptr), AgeLimit(options_.max_age));
  return Connection(std::move(stream), ends_at, options_.max_uses, counts_);
}

void Pool::Keep(Connection connection, const KeepAliveHint& hint) noexcept {
  if (!connection.Use() || hint.requests == 0) return;
  const TimePoint now = ReadClock(nullptr);
  Duration idle = options_.idle_timeout;
  if (hint.timeout) {
    // A request that is on its way when the server closes is lost.
    const Duration way = std::min<Duration>(*hint.timeout / 2, std::chrono::seconds(1));
    idle = std::min<Duration>(idle, *hint.timeout - way);
  }
  const TimePoint until = std::min(SaturatingAdd(now, idle), connection.ends_at());
  if (until <= now) return;
  std::optional<Connection> surplus;
  try {
    const std::lock_guard lock(mutex_);
    idle_.push_back({.connection = std::move(connection), .since = now, .until = until});
    if (std::cmp_greater(idle_.size(), options_.max_idle)) {
      surplus = std::move(idle_.front().connection);
      idle_.pop_front();
    }
    if (until >= visited_at_ || idle_.empty()) return;
    Housekeeper::OfProcess().Visit(shared_from_this(), until);
    visited_at_ = until;
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is closed now, or when it is next looked at
  }
}

template <class F>
bool Pool::CloseOne(const F& over) {
  const auto found = std::ranges::find_if(idle_, over);
  if (found == idle_.end()) return false;
  idle_.erase(found);
  return true;
}

// The lock is let go between two of them, so that calls do not wait for the closing of all.
void Pool::DropIdle(TimePoint since) noexcept {
  for (bool more = true; more;) {
    const std::lock_guard lock(mutex_);
    more = CloseOne([since](const Idle& idle) { return idle.since <= since; });
  }
}

TimePoint Pool::TidyUp(TimePoint now) noexcept {
  for (;;) {
    const std::lock_guard lock(mutex_);
    if (CloseOne([now](const Idle& idle) { return idle.until <= now; })) continue;
    visited_at_ = TimePoint::max();
    for (const Idle& idle : idle_) visited_at_ = std::min(visited_at_, idle.until);
    return visited_at_;
  }
}

TransportStats Pool::stats() const {
  const std::lock_guard lock(mutex_);
  return {.opened = counts_.opened.load(std::memory_order_relaxed),
          .reused = counts_.reused.load(std::memory_order_relaxed),
          .idle = static_cast<std::int64_t>(idle_.size()),
          .in_use = in_use_,
          .queued = open_.queued()};
}

std::shared_ptr<Pool> Pool::MakeAnew() const {
  auto pool = std::make_shared<Pool>(route_, options_);
  if (meter_.timed()) pool->meter_.Time();
  return pool;
}

std::shared_ptr<holdfast::internal::PerProcess<Pool>> MakePool(std::string_view origin,
                                                               TransportOptions options) {
  options = holdfast::internal::Validated(std::move(options));
  auto route = ParseRoute(origin, options);
  return std::make_shared<holdfast::internal::PerProcess<Pool>>(
      std::make_shared<Pool>(std::move(route), std::move(options)));
}

}  // namespace holdfast::http::internal
