// What a circuit breaker can answer without its mutex.
#ifndef HOLDFAST_BREAKER_INTERNAL_BREAKER_LANE_H_
#define HOLDFAST_BREAKER_INTERNAL_BREAKER_LANE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "holdfast/base/internal/thread_number.h"
#include "holdfast/base/time.h"

namespace holdfast::internal {

// Calls that are admitted and succeed while the breaker is closed are only counted here, without a
// lock, in stripes, so that threads on different processors don't pass a line of cache to and fro;
// and who is refused while it is open is refused here.
//
// Time is divided into eras: one for each period of a rolling window, a new one where a generation
// begins. A call is counted as admitted in the era in which it was, and its success likewise, as
// long as that era is the present one or the one before. Whoever holds the breaker's mutex shuts
// the lane, takes what it has counted, and opens it for the next era; eras of different generations
// differ by two or more.
//
// Why that is exact: each word is a count and, in its lowest bit, whether anybody may count. Shut
// clears the bits, and only then does Open change the era and `until_` (release); it leaves every
// word with a value that it never had. So a compare-and-swap that succeeds proves that no Shut came
// since the word was read, and what was read after it (acquire) still stood. The sum of words that
// only grow, one at a time, is a value that the total had at some moment while it was read, and
// Take reads successes while nobody is admitted, if need be by shutting the lane: so it is atomic
// to whoever counts.
class BreakerLane {
 public:
  BreakerLane();  // shut

  // False while shut, and after `until`.
  bool TryAdmit(TimePoint now, std::uint64_t& era) {
    std::atomic<std::uint64_t>& admitted = Mine().admitted;
    std::uint64_t word = admitted.load(std::memory_order_acquire);
    while ((word & kMayCount) != 0) {
      if (now > until()) return false;
      const std::uint64_t present = era_.load(std::memory_order_acquire);
      if (admitted.compare_exchange_weak(word, word + kOne, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
        era = present;
        return true;
      }
    }
    return false;
  }

  // Also false for an `era` that is too long ago, or of another generation.
  bool TrySucceed(TimePoint now, std::uint64_t era) {
    std::atomic<std::uint64_t>& succeeded = Mine().succeeded[era % 2];
    std::uint64_t word = succeeded.load(std::memory_order_acquire);
    while ((word & kMayCount) != 0) {
      if (now > until()) return false;
      if (era_.load(std::memory_order_acquire) - era > 1) return false;
      if (succeeded.compare_exchange_weak(word, word + kOne, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
        return true;
      }
    }
    return false;
  }

  // Everybody is refused before it; TimePoint::min() if nobody is.
  TimePoint retry_at() const {
    return TimePoint(Duration(retry_at_.load(std::memory_order_acquire)));
  }

  // How long it was to be open, the last time that it was; zero if it is so by hand.
  Duration open_for() const { return Duration(open_for_.load(std::memory_order_relaxed)); }

  // The rest with the breaker's mutex held.

  struct Count {
    std::uint64_t admitted = 0;  // in the present era
    std::uint64_t succeeded = 0;
    std::uint64_t succeeded_before = 0;  // those admitted in the era before
  };
  // Since the last Take.
  Count Take();

  void Shut();
  // `until` is inclusive.
  void Open(std::uint64_t era, TimePoint until);

  void set_open_for(Duration open_for) {
    open_for_.store(open_for.count(), std::memory_order_relaxed);
  }
  void RefuseBefore(TimePoint retry_at) {
    retry_at_.store(retry_at.time_since_epoch().count(), std::memory_order_release);
  }

 private:
  static constexpr std::uint64_t kMayCount = 1;
  static constexpr std::uint64_t kOne = 2;

  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> admitted{0};
    std::atomic<std::uint64_t> succeeded[2]{};  // by the era's lowest bit
  };

  Stripe& Mine() const { return stripes_[ThreadNumber() & mask_]; }
  TimePoint until() const { return TimePoint(Duration(until_.load(std::memory_order_acquire))); }
  struct Sums {
    std::uint64_t admitted = 0;
    std::uint64_t succeeded[2] = {};
  };
  std::uint64_t Admitted() const;
  Sums Read() const;
  template <class Do>
  void ForEachWord(Do act);

  const std::size_t mask_;
  const std::unique_ptr<Stripe[]> stripes_;
  std::atomic<std::uint64_t> era_{0};
  std::atomic<TimePoint::rep> until_{0};
  std::atomic<TimePoint::rep> retry_at_{TimePoint::min().time_since_epoch().count()};
  std::atomic<Duration::rep> open_for_{0};  // relaxed: nothing else depends on it

  Sums taken_;  // what the words together had counted at the last Take
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BREAKER_INTERNAL_BREAKER_LANE_H_
