#include "src/breaker/breaker_window.h"

#include <algorithm>

namespace holdfast::internal {

void AddCounts(BreakerCounts& sum, const BreakerCounts& what) {
  sum.requests += what.requests;
  sum.successes += what.successes;
  sum.failures += what.failures;
  sum.ignored += what.ignored;
  sum.slow += what.slow;
}

RollingWindow::RollingWindow(Duration interval, Duration period)
    : period_(period), buckets_(BucketCount(interval, period)) {}

std::uint64_t RollingWindow::BucketCount(Duration interval, Duration period) {
  const auto whole = interval / period + (interval % period > Duration::zero() ? 1 : 0);
  return static_cast<std::uint64_t>(std::max<Duration::rep>(whole, 1));
}

void RollingWindow::Clear(TimePoint now, std::uint64_t era) {
  start_ = now;
  first_ = era_ = era;
  oldest_ = 0;
}

std::uint64_t RollingWindow::EraAt(TimePoint now) const {
  const Duration since = SaturatingSub(now, start_);
  if (since < Duration::zero()) return era_;
  return std::max(era_, first_ + static_cast<std::uint64_t>(since / period_));
}

TimePoint RollingWindow::end() const {
  Duration::rep last = 0;
  if (__builtin_mul_overflow(era_ - first_ + 1, period_.count(), &last)) return TimePoint::max();
  return SaturatingAdd(start_, Duration(last - 1));
}

void RollingWindow::Roll(std::uint64_t era, BreakerCounts& totals) {
  era_ = era;
  while (oldest_ != 0 && era_ - oldest_ >= buckets_.size()) {
    const Bucket& bucket = BucketOf(oldest_);
    totals.requests -= bucket.counts.requests;
    totals.successes -= bucket.counts.successes;
    totals.failures -= bucket.counts.failures;
    totals.ignored -= bucket.counts.ignored;
    totals.slow -= bucket.counts.slow;
    oldest_ = bucket.next;
  }
}

bool RollingWindow::Add(std::uint64_t era, const BreakerCounts& what) {
  if (era_ - era >= buckets_.size()) return false;
  Bucket& bucket = BucketOf(era);
  if (bucket.era != era) {  // only the present era's: an earlier one got its admissions in time
    if (oldest_ == 0) {
      oldest_ = era;
    } else {
      BucketOf(newest_).next = era;
    }
    newest_ = era;
    bucket = {.era = era};
  }
  AddCounts(bucket.counts, what);
  return true;
}

void LastCalls::Add(std::uint64_t number, bool failed, bool slow) {
  Forget(number + 1);
  ring_[next_++ % ring_.size()] = {.number = number, .failed = failed, .slow = slow};
  noted_.failures += failed ? 1 : 0;
  noted_.slow += slow ? 1 : 0;
}

LastCalls::Noted LastCalls::After(std::uint64_t judged) const {
  Noted noted = noted_;
  for (; noted.first != next_; ++noted.first) {
    const Note note = ring_[noted.first % ring_.size()];
    if (judged - note.number <= ring_.size()) break;
    noted.failures -= note.failed ? 1 : 0;
    noted.slow -= note.slow ? 1 : 0;
  }
  return noted;
}

BreakerCounts LastCalls::Counts(const BreakerCounts& totals) const {
  const Noted noted = After(totals.judged());
  const std::uint64_t judged = std::min<std::uint64_t>(totals.judged(), ring_.size());
  BreakerCounts counts = totals;
  counts.requests -= totals.judged() - judged + totals.ignored;
  counts.successes = judged - noted.failures;
  counts.failures = noted.failures;
  counts.ignored = 0;
  counts.slow = noted.slow;
  return counts;
}

}  // namespace holdfast::internal
