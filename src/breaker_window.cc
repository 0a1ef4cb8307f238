#include "holdfast/internal/breaker_window.h"

#include <algorithm>

namespace holdfast::internal {
namespace {

void AddTo(BreakerCounts& sum, const BreakerCounts& what) {
  sum.requests += what.requests;
  sum.successes += what.successes;
  sum.failures += what.failures;
  sum.ignored += what.ignored;
  sum.slow += what.slow;
}

void SubtractFrom(BreakerCounts& sum, const BreakerCounts& what) {
  sum.requests -= what.requests;
  sum.successes -= what.successes;
  sum.failures -= what.failures;
  sum.ignored -= what.ignored;
  sum.slow -= what.slow;
}

std::size_t BucketCount(Duration interval, Duration period) {
  if (period <= Duration::zero()) return 1;
  const auto whole = interval / period + (interval % period > Duration::zero() ? 1 : 0);
  return static_cast<std::size_t>(std::max<Duration::rep>(whole, 1));
}

}  // namespace

BreakerWindow::BreakerWindow(Duration interval, Duration period)
    : period_(period), buckets_(BucketCount(interval, period)) {}

void BreakerWindow::Clear(TimePoint now) {
  std::fill(buckets_.begin(), buckets_.end(), BreakerCounts{});
  start_ = now;
  age_ = 0;
}

void BreakerWindow::Roll(TimePoint now, BreakerCounts& totals) {
  if (size() == 1) return;
  if (start_ == TimePoint::min()) start_ = now;
  const std::int64_t age = SaturatingSub(now, start_) / period_;
  if (age <= age_) return;
  const auto steps = std::min<std::int64_t>(age - age_, static_cast<std::int64_t>(size()));
  for (std::int64_t step = 1; step <= steps; ++step) {
    BreakerCounts& oldest = buckets_[static_cast<std::size_t>(age_ + step) % size()];
    SubtractFrom(totals, oldest);
    oldest = BreakerCounts{};
  }
  age_ = age;
}

bool BreakerWindow::Add(std::int64_t age, const BreakerCounts& what, BreakerCounts& totals) {
  if (age_ - age >= static_cast<std::int64_t>(size())) return false;
  AddTo(buckets_[static_cast<std::size_t>(age) % size()], what);
  AddTo(totals, what);
  return true;
}

}  // namespace holdfast::internal
