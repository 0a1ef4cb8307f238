// The sliding window of an AdaptiveThrottler: what it has counted, and the share of calls to
// reject.
//
// Model. The window is `buckets` buckets of one period each; the newest is the present one.
// Counters only ever grow. When a bucket begins, the values of all counters are written into
// `starts_`, so the window holds the growth since its oldest bucket began: Everything() -
// starts_[oldest]. Nothing is ever reset, so no event is lost or counted twice, whatever runs
// meanwhile. A time that is older than the present bucket belongs to the present one.
//
// The window is calm while K * accepts >= requests. Then the formula gives 0, no call is rejected,
// and a further accept only makes it calmer. This is the state of a healthy service, and it is made
// cheap: an accept is counted relaxed in one of several stripes, so that threads on different
// processors do not pass a cache line to and fro. Otherwise the window is tense: every decision
// needs the sums, so all events are counted in shared counters, still without a lock. A mutex is
// taken for the first call in each bucket, for events that may end or begin the calm, and to read
// the counts.
//
//   event              calm                              tense
//   accept             stripe, relaxed                   shared counter; Reassess if calm by now
//   failure, refusal   shared counter, then Reassess     shared counter
//
// As the counters only grow, they are the totals of the throttler's life as well; Totals() reads
// them without the mutex.
//
// A decision sums the shared counters and an offset. With the mutex held, Reassess sets the offset
// to what the stripes have counted minus what all counters had when the oldest bucket began; so
// offset plus shared counters is what the window holds, less accepts that stripes have counted
// since.
//
// Invariants, whenever the mutex is free.
//   1. starts_[e % size] is what had been counted when bucket e began, for the buckets
//      era_ - size + 1 to era_.
//   2. If calm_ is true, the counters were calm after it was set, except for failures and refusals
//      whose threads are about to reassess.
//   3. turns_at_ is the end of the present bucket, or kAtOnce before the first time is known and
//      after a change of the buckets.
//
// Why the memory orders suffice.
//   - Accepts in stripes are relaxed: they are summed with the mutex held, and an accept that comes
//     just too late is part of the next sum. Until then the window looks less calm than it is, by
//     that accept. Likewise a decision made while a bucket turns may see the state before.
//   - That the calm ends must not be missed. A failure or refusal first counts, then looks at
//     calm_. Reassess first stores calm_ = true, then looks at the counters once more, and takes it
//     back if they are not calm. All four accesses are seq_cst, so they have one order that all
//     threads agree on (as in Dekker's algorithm): whichever of the two stores comes second, the
//     load after it sees the other. Either the failure sees the calm and reassesses, or Reassess
//     sees the failure.
//   - turns_at_ is stored with release after the offsets and loaded with acquire: a call that finds
//     its bucket begun sees at least the offsets that were set when it began.
//   - The parts of the rule are relaxed. Change reassesses after it has set them, with the mutex
//     held; a decision made at that moment may use some parts of the old rule and some of the new
//     one.
//   - The offsets are relaxed. A decision that mixes two offsets is one of a moment in which the
//     window turned; NotNegative keeps the difference from wrapping.
#ifndef HOLDFAST_THROTTLE_INTERNAL_THROTTLE_WINDOW_H_
#define HOLDFAST_THROTTLE_INTERNAL_THROTTLE_WINDOW_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "holdfast/base/internal/thread_number.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"

namespace holdfast::internal {

struct ThrottleCounts {
  std::array<std::uint64_t, kPriorities> requests = {};  // by priority, including those refused
  std::uint64_t accepts = 0;
  std::uint64_t refused = 0;  // by the throttler itself
};

// Since the throttler was made, by priority.
struct ThrottleTotals {
  std::array<std::uint64_t, kPriorities> accepted = {};
  std::array<std::uint64_t, kPriorities> failed = {};
  std::array<std::uint64_t, kPriorities> refused = {};  // by the throttler itself

  std::uint64_t Requests(std::size_t priority) const {
    return accepted[priority] + failed[priority] + refused[priority];
  }
};

struct ThrottleRule {
  double k;
  double max_rejection;
  std::uint64_t min_requests;

  // The share of all calls to reject.
  double Overall(const ThrottleCounts& counts) const;
  // The share of the calls of one priority: the overall share is taken from the lowest ones first.
  double Of(Priority priority, const ThrottleCounts& counts) const;
  // True if Overall is 0 and no further accept can make it more.
  bool Calm(const ThrottleCounts& counts) const;

 private:
  double Overall(std::uint64_t requests, std::uint64_t accepts) const;
};

class ThrottleWindow {
 public:
  ThrottleWindow(const ThrottleRule& rule, Duration period, std::int64_t buckets);

  // Begins the bucket of `now`, if it has not begun. Call it before each decision and count.
  void AdvanceTo(TimePoint now) {
    if (now >= TimePoint(Duration(turns_at_.load(std::memory_order_acquire)))) Turn(now);
  }

  bool calm() const { return calm_.load(std::memory_order_seq_cst); }

  // The share of the calls of that priority to reject.
  double RejectionOf(Priority priority) const { return rule().Of(priority, Present()); }

  // Each counts one request, in the present bucket.
  void Accept(Priority priority) {
    if (calm()) {
      Count(Mine().accepted, priority, std::memory_order_relaxed);
    } else {
      AcceptTense(priority);
    }
  }
  void Fail(Priority priority) { CountAgainst(failed_, priority); }
  void Refuse(Priority priority) { CountAgainst(refused_, priority); }

  // What the window would hold if the bucket of `now` had begun. Exact if no other thread is
  // counting meanwhile.
  ThrottleCounts CountsAt(TimePoint now) const;

  ThrottleTotals Totals() const;

  ThrottleRule rule() const {
    return {.k = k_.load(std::memory_order_relaxed),
            .max_rejection = max_rejection_.load(std::memory_order_relaxed),
            .min_requests = min_requests_.load(std::memory_order_relaxed)};
  }

  // Changes the rule and the buckets, of which there are as many as `starts` has elements; those
  // must be zero, and are swapped with the old ones. Neither throws nor allocates.
  //
  // The counts of each old bucket go to the new bucket that contains the end of the old one. Those
  // of the present bucket go to the new present bucket, which begins with the first time that comes
  // after the change. So only what is too old for the new window leaves it, and the rest leaves it
  // too early or too late by no more than an old and a new bucket.
  void Change(const ThrottleRule& rule, Duration period, std::vector<ThrottleCounts>& starts);

 private:
  static constexpr TimePoint::rep kAtOnce = TimePoint::min().time_since_epoch().count();

  using Counters = std::array<std::atomic<std::uint64_t>, kPriorities>;
  struct alignas(64) Stripe {
    Counters accepted{};
  };

  Stripe& Mine() const { return stripes_[ThreadNumber() & mask_]; }
  static void Count(Counters& counters, Priority priority, std::memory_order order) {
    counters[static_cast<std::size_t>(priority)].fetch_add(1, order);
  }

  void AcceptTense(Priority priority);
  void CountAgainst(Counters& counters, Priority priority);
  void Turn(TimePoint now);
  ThrottleCounts Present() const;
  std::uint64_t InStripes(std::size_t priority) const;

  // With the mutex held.
  struct Turning {
    std::uint64_t turns;  // buckets that begin
    TimePoint ends;       // the end of the last of them
  };
  std::optional<Turning> TurningAt(TimePoint now) const;
  ThrottleCounts Everything() const;
  ThrottleCounts& StartOf(std::uint64_t era) { return starts_[era % starts_.size()]; }
  const ThrottleCounts& StartOf(std::uint64_t era) const { return starts_[era % starts_.size()]; }
  void SetRule(const ThrottleRule& rule);
  void SetBuckets(Duration period, std::vector<ThrottleCounts>& starts);
  void Reassess();

  std::atomic<double> k_;
  std::atomic<double> max_rejection_;
  std::atomic<std::uint64_t> min_requests_;
  const std::size_t mask_;
  const std::unique_ptr<Stripe[]> stripes_;

  // Read by every call and hardly ever written.
  alignas(64) std::atomic<bool> calm_{true};
  std::atomic<TimePoint::rep> turns_at_{kAtOnce};
  // What the stripes have counted, minus what all counters had when the oldest bucket began; modulo
  // 2^64.
  Counters requests_offset_{};
  std::atomic<std::uint64_t> accepts_offset_{0};

  alignas(64) Counters accepted_{};  // while tense
  Counters failed_{};
  alignas(64) Counters refused_{};

  alignas(64) mutable std::mutex mutex_;
  Duration period_;
  bool begun_ = false;
  TimePoint ends_ = TimePoint::max();   // the end of the present bucket, at the latest; max: none
  std::uint64_t era_ = 0;               // the number of the present bucket
  std::vector<ThrottleCounts> starts_;  // what had been counted when each bucket began
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_THROTTLE_INTERNAL_THROTTLE_WINDOW_H_
