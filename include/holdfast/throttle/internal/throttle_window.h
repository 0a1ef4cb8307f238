// What a AdaptiveThrottler has counted in its window, and which share of the calls it refuses for
// it.
#ifndef HOLDFAST_THROTTLE_INTERNAL_THROTTLE_WINDOW_H_
#define HOLDFAST_THROTTLE_INTERNAL_THROTTLE_WINDOW_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "holdfast/base/internal/thread_number.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"

namespace holdfast::internal {

struct ThrottleCounts {
  std::array<std::uint64_t, kPriorities> requests = {};  // by priority, those refused included
  std::uint64_t accepts = 0;
  std::uint64_t refused = 0;  // by the throttler itself
};

struct ThrottleRule {
  double k;
  double max_rejection;
  std::uint64_t min_requests;

  // The share of all calls to refuse.
  double Overall(const ThrottleCounts& counts) const;
  // That of a priority: the overall share is spent on the lowest first.
  double Of(Priority priority, const ThrottleCounts& counts) const;
  // Whether the first is 0, and no further accept makes it more.
  bool Calm(const ThrottleCounts& counts) const;

 private:
  double Overall(std::uint64_t requests, std::uint64_t accepts) const;
};

// The window is `buckets` of one period each, the last of which is the present one; times that are
// older belong to that as well. It is calm while K accepts are at least as many as the requests.
// Then nobody is refused, and an accept only makes it calmer: it is counted without a lock in
// stripes, so that threads on different processors don't pass a line of cache to and fro. While it
// is tense all counters are shared, as every decision needs their sums: still without a lock. A
// mutex is taken for the first call in each bucket, for what may end the calm or begin it, and for
// who asks for the counts.
//
// Counters only ever grow. Where a bucket begins they are written down, so what the window holds is
// their growth since its oldest bucket began, and none is lost whatever happens meanwhile.
//
// The rule and the buckets can change: what the window holds then stays in it, see Change.
//
// Why atomics suffice. Accepts in stripes are relaxed: they are summed with the mutex held, and one
// that comes just too late is part of the next sum. Of them and of a window that is about to go on,
// a decision made at that moment may therefore see the state before. What must not be missed is
// that the calm has ended: who counts a failure or a refusal does that first and then looks whether
// it is calm; who finds it calm again says so first and then looks at the counters once more. All
// four are sequentially consistent, so at least one of the two sees the other. The parts of the
// rule are relaxed: who changes them reassesses after that, with the mutex held, and a decision
// made at that moment may go by some parts of the old one.
class ThrottleWindow {
 public:
  ThrottleWindow(const ThrottleRule& rule, Duration period, std::int64_t buckets);

  // Goes on to the bucket of `now`.
  void AdvanceTo(TimePoint now) {
    if (now >= TimePoint(Duration(turns_at_.load(std::memory_order_acquire)))) Turn(now);
  }

  bool calm() const { return calm_.load(std::memory_order_seq_cst); }

  // The share of the calls of that priority to refuse.
  double RejectionOf(Priority priority) const { return rule().Of(priority, Present()); }

  // They count one request each, in the present bucket.
  void Accept(Priority priority) {
    if (calm()) {
      Count(Mine().accepted, priority, std::memory_order_relaxed);
    } else {
      AcceptTense(priority);
    }
  }
  void Fail(Priority priority) { CountAgainst(failed_, priority); }
  void Refuse(Priority priority) { CountAgainst(refused_, priority); }

  // Exact, if nobody is counting meanwhile.
  ThrottleCounts Counts();

  ThrottleRule rule() const {
    return {.k = k_.load(std::memory_order_relaxed),
            .max_rejection = max_rejection_.load(std::memory_order_relaxed),
            .min_requests = min_requests_.load(std::memory_order_relaxed)};
  }

  // Goes by another rule from now on, and by other buckets: as many as there are `starts`, all
  // zero, into which it swaps what it needs no more. Neither throws nor allocates.
  //
  // What each old bucket holds goes to the new one that has the time of its end, and what the
  // present one holds is in the new present one, which begins with the first time that comes after
  // the change. So nothing leaves the window because of the change but what is too old for it, and
  // the rest leaves it too early or too late by no more than an old and a new bucket.
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

  // With the mutex held.
  ThrottleCounts Everything() const;
  ThrottleCounts& StartOf(std::uint64_t era) { return starts_[era % starts_.size()]; }
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
  // What the stripes have counted, less what all had when the window's oldest bucket began; modulo
  // 2^64. With the shared counters it makes what the window holds.
  Counters requests_offset_{};
  std::atomic<std::uint64_t> accepts_offset_{0};

  // While it is tense, accepts as well.
  alignas(64) Counters accepted_{};
  Counters failed_{};
  alignas(64) Counters refused_{};

  alignas(64) std::mutex mutex_;
  Duration period_;
  bool begun_ = false;
  TimePoint ends_ = TimePoint::max();   // of the present bucket, at the latest; max: it never does
  std::uint64_t era_ = 0;               // its number
  std::vector<ThrottleCounts> starts_;  // what had been counted when each began
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_THROTTLE_INTERNAL_THROTTLE_WINDOW_H_
