#include "holdfast/concurrency/internal/reserved_permits.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace holdfast::internal {
namespace {

constexpr double kStep = 1.0 / 16;  // of the limit
constexpr double kForgotten = 0.5;  // permits: a whole one is reserved until less than this is left

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

// A `now` before the refusal counts as the time of the refusal.
double ReservedPermits::Reservation::At(TimePoint now) const {
  const Duration age = std::max(SaturatingSub(now, since), Duration::zero());
  return permits * std::exp2(-Seconds(age));
}

std::int64_t ReservedPermits::ReservedAgainst(Priority priority, TimePoint now) {
  const std::lock_guard lock(mutex_);
  double most = 0;
  for (auto p = static_cast<std::size_t>(priority) + 1; p < kPriorities; ++p) {
    const double permits = reserved_[p].At(now);
    if (permits < kForgotten) {
      reserved_[p] = {};
      refused_.fetch_and(~(1U << p), std::memory_order_relaxed);
    }
    most = std::max(most, permits);
  }
  return most < kForgotten ? 0 : std::llround(std::ceil(most));
}

void ReservedPermits::NoteRefused(Priority priority, TimePoint now, std::int64_t limit) {
  const auto p = static_cast<unsigned>(priority);
  const std::lock_guard lock(mutex_);
  Reservation& reservation = reserved_[p];
  const auto all = static_cast<double>(limit);
  const double more = reservation.At(now) + std::max(1.0, all * kStep);
  reservation = {.permits = std::min(more, all), .since = std::max(now, reservation.since)};
  refused_.fetch_or(1U << p, std::memory_order_relaxed);
}

}  // namespace holdfast::internal
