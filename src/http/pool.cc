#include "src/http/pool.h"

#include <absl/random/random.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <utility>

#include "holdfast/base/internal/random.h"

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
    if (now <= until && connection->stream().Quiet()) return connection;
  }
}

absl::StatusOr<Connection> Pool::Open(TimePoint deadline, const StopSignal& stop) {
  if (!opener_) return route_.status();
  auto stream = opener_->Open(deadline, stop);
  if (!stream.ok()) return stream.status();
  return Connection(*std::move(stream),
                    SaturatingAdd(ReadClock(nullptr), AgeLimit(options_.max_age)),
                    options_.max_uses);
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
    Housekeeper::OfProcess().Visit(weak_from_this(), until);
    visited_at_ = until;
  } catch (...) {  // NOLINT(bugprone-empty-catch): it is closed now, or when it is next looked at
  }
}

void Pool::DropIdle(TimePoint since) noexcept {
  std::deque<Idle> dropped;  // closed without the lock
  const std::lock_guard lock(mutex_);
  const auto first_kept =
      std::ranges::find_if(idle_, [since](const Idle& idle) { return idle.since > since; });
  try {
    std::move(idle_.begin(), first_kept, std::back_inserter(dropped));
  } catch (...) {  // NOLINT(bugprone-empty-catch): for want of memory; closed under the lock
  }
  idle_.erase(idle_.begin(), first_kept);
}

TimePoint Pool::TidyUp(TimePoint now) noexcept {
  TimePoint next = TimePoint::max();
  try {
    TakeExpired(now, next);
  } catch (...) {  // NOLINT(bugprone-empty-catch): for want of memory
  }
  return next;
}

// The result is destroyed, and so closed, without the lock.
std::vector<Pool::Idle> Pool::TakeExpired(TimePoint now, TimePoint& next) {
  std::vector<Idle> expired;
  const std::lock_guard lock(mutex_);
  if (now < visited_at_)
    return expired;  // another visit, which comes later, took over from this one
  visited_at_ = TimePoint::max();
  expired.reserve(idle_.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < idle_.size(); ++i) {
    if (idle_[i].until <= now) {
      expired.push_back(std::move(idle_[i]));
    } else {
      next = std::min(next, idle_[i].until);
      if (kept != i) idle_[kept] = std::move(idle_[i]);
      ++kept;
    }
  }
  idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(kept), idle_.end());
  visited_at_ = next;
  return expired;
}

TransportStats Pool::stats() const {
  const std::lock_guard lock(mutex_);
  TransportStats stats = stats_;
  stats.idle = static_cast<std::int64_t>(idle_.size());
  stats.queued = open_.queued();
  return stats;
}

}  // namespace holdfast::http::internal
