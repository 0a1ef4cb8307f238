// The two windows of a circuit breaker that move: of time, and of a number of calls.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_WINDOW_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/breaker/trip_rule.h"

namespace holdfast::internal {

// Adds all counts except the runs.
void AddCounts(BreakerCounts& sum, const BreakerCounts& what);

// A rolling window of time, by gobreaker's arithmetic: it spans the present period and the n - 1
// whole periods before it. Each period is an era.
//
// Model. A ring of n buckets; era e uses bucket e modulo n. The buckets that hold counts are linked
// in the order of their eras, from oldest_ to newest_, through `next`. Roll walks that list from
// the oldest, and subtracts from the totals what has left the window.
//
// Invariants. A bucket belongs to the era that it names, and to none of the window if that era is
// none of the last n: stale buckets are not cleared but recognized. Only the present era's bucket
// is ever added to the list, since an earlier era got its admissions while it was the present one.
// So each bucket is touched once to fill and once to forget it: O(1) amortized per call whatever n,
// and Clear takes no time.
class RollingWindow {
 public:
  // Both > 0. The interval is rounded up to whole periods.
  RollingWindow(Duration interval, Duration period);

  static std::uint64_t BucketCount(Duration interval, Duration period);

  // Empties the window and begins it with `era`, which is later than any era before.
  void Clear(TimePoint now, std::uint64_t era);

  // The era of `now`, or the present era if that is later; and the last moment of the present era.
  std::uint64_t EraAt(TimePoint now) const;
  TimePoint end() const;

  // Makes `era` the present one, and subtracts from `totals` what leaves the window thereby.
  void Roll(std::uint64_t era, BreakerCounts& totals);

  // Adds to the bucket of `era`, which is at most the present one; false if it has left the window.
  bool Add(std::uint64_t era, const BreakerCounts& what);

 private:
  struct Bucket {
    std::uint64_t era = 0;      // 0: never used
    std::uint64_t next = 0;     // the era of the next bucket in the list; 0: none
    BreakerCounts counts = {};  // without runs
  };

  Bucket& BucketOf(std::uint64_t era) { return buckets_[era % buckets_.size()]; }

  Duration period_;
  std::vector<Bucket> buckets_;
  TimePoint start_;
  std::uint64_t first_ = 0;  // the era of start_
  std::uint64_t era_ = 0;
  std::uint64_t oldest_ = 0;  // the era of the first bucket in the list; 0: the list is empty
  std::uint64_t newest_ = 0;
};

// A window of the last `size` calls that succeeded or failed.
//
// Model. These calls are numbered from 0 in the order in which they ended. Only failures and slow
// calls are noted, each with its number, in a ring; every other call in the window was a quick
// success, so the successes that the breaker lane counts need no note. A note leaves the window
// when `size` calls with later numbers have ended. There are at most `size` notes in
// the window, so the ring never overflows. O(1) amortized per call
// if Forget comes before Counts.
class LastCalls {
 public:
  explicit LastCalls(std::int64_t size) : ring_(static_cast<std::size_t>(size)) {}

  void Clear() {
    next_ = 0;
    noted_ = {};
  }

  // Notes call number `number`, which failed or was slow.
  void Add(std::uint64_t number, bool failed, bool slow);

  // Forgets the notes that have left the window, if `judged` calls have succeeded or failed.
  void Forget(std::uint64_t judged) { noted_ = After(judged); }

  // The counts of the window, if `totals` are those of the generation: see
  // CircuitBreakerOptions::last_calls.
  BreakerCounts Counts(const BreakerCounts& totals) const;

 private:
  struct Note {
    std::uint64_t number : 62;
    bool failed : 1;
    bool slow : 1;
  };

  struct Noted {
    std::uint64_t first = 0;     // the first note in the window
    std::uint64_t failures = 0;  // among the notes
    std::uint64_t slow = 0;      // among the notes
  };

  // What is noted without what has left the window once `judged` calls have succeeded or failed.
  Noted After(std::uint64_t judged) const;

  std::vector<Note> ring_;  // notes noted_.first to next_ - 1, each at its index modulo the size
  std::uint64_t next_ = 0;
  Noted noted_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_WINDOW_H_
