// The windows in which a circuit breaker counts.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_WINDOW_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/breaker/trip_rule.h"

namespace holdfast::internal {

// All but the runs.
void AddCounts(BreakerCounts& sum, const BreakerCounts& what);

// A rolling window: a ring of buckets of one period, or era, each; the oldest is forgotten for the
// newest. The arithmetic is gobreaker's: it spans the present period and size() - 1 whole ones
// before it. Only buckets that hold anything are ever looked at, each once to fill and once to
// forget it: so it takes O(1) a call, amortised, however many there are, and no time to clear.
class RollingWindow {
 public:
  // Both > 0; the interval is rounded up to whole periods.
  RollingWindow(Duration interval, Duration period);

  static std::uint64_t BucketCount(Duration interval, Duration period);

  // Begins anew, empty, with `era`, which is later than any that it was told.
  void Clear(TimePoint now, std::uint64_t era);

  // The era of `now`, or the present one, if that is later; and its last moment.
  std::uint64_t EraAt(TimePoint now) const;
  TimePoint end() const;

  // Goes on to `era`: forgets, here and in `totals`, what is no longer in the window.
  void Roll(std::uint64_t era, BreakerCounts& totals);

  // Adds to the bucket of an era up to the present; false if it is no longer in the window.
  bool Add(std::uint64_t era, const BreakerCounts& what);

 private:
  struct Bucket {
    std::uint64_t era = 0;      // 0: of none
    std::uint64_t next = 0;     // the era of the next one that holds anything; 0: of none yet
    BreakerCounts counts = {};  // without runs
  };

  Bucket& BucketOf(std::uint64_t era) { return buckets_[era % buckets_.size()]; }

  Duration period_;
  std::vector<Bucket> buckets_;
  TimePoint start_;
  std::uint64_t first_ = 0;  // the era of start_
  std::uint64_t era_ = 0;
  std::uint64_t oldest_ = 0;  // of the buckets that hold anything; 0: none does
  std::uint64_t newest_ = 0;
};

// The last `size` calls that succeeded or failed. Only failures and slow calls are noted, each by
// its number: the others are those between them. O(1) a call, amortised.
class LastCalls {
 public:
  explicit LastCalls(std::int64_t size) : ring_(static_cast<std::size_t>(size)) {}

  void Clear() { first_ = next_ = failures_ = slow_ = 0; }

  // Call number `number`, from 0, of all that succeeded or failed.
  void Add(std::uint64_t number, bool failed, bool slow);

  // What the window holds of them when `totals` have been counted: see
  // CircuitBreaker::Options::last_calls.
  BreakerCounts Counts(const BreakerCounts& totals);

 private:
  struct Note {
    std::uint64_t number : 62;
    bool failed : 1;
    bool slow : 1;
  };

  void Forget(std::uint64_t judged);

  std::vector<Note> ring_;  // notes first_ to next_ - 1, each at its index modulo the size
  std::uint64_t first_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t failures_ = 0;  // among them
  std::uint64_t slow_ = 0;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_WINDOW_H_
