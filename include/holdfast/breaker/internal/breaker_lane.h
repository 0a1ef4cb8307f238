// The lock-free part of a circuit breaker: it counts calls while the breaker is closed, refuses
// them while it is open, and keeps the counts of the breaker's whole life.
#ifndef HOLDFAST_BREAKER_INTERNAL_BREAKER_LANE_H_
#define HOLDFAST_BREAKER_INTERNAL_BREAKER_LANE_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "holdfast/base/internal/thread_number.h"
#include "holdfast/base/time.h"
#include "holdfast/call/outcome.h"

namespace holdfast::internal {

// Model. While the breaker is closed, a call that is admitted and succeeds only adds one to two
// words here, without a lock. The words exist once per stripe, so that threads on different
// processors do not share cache lines. While the breaker is open, a call reads retry_at() and is
// refused. Everything else happens under the breaker's mutex (breaker_machine.h, which also defines
// era and generation).
//
// A stripe has three such words: calls admitted in the present era, successes of calls of the eras
// with an even number, and of those with an odd number. A success counts in the era in which its
// call was admitted, as long as that is the present era or the one before it; later ones take the
// mutex. A word is a count and, in its lowest bit, whether threads may count. The protocol:
//
//   a thread that counts            the holder of the mutex
//   1. load the word    (acquire)   Shut   clear the bit of every word         (acq_rel)
//   2. load until_, era_ (acquire)  Take   read what was counted
//   3. compare-exchange the word    Open   store era_ and until_               (release),
//      to one more      (acq_rel)          then raise every word, bit included (release)
//
// Invariants.
//
//   1. A word never has the same value twice while its bit is set: a count raises it, and Open
//      raises it once more.
//   2. era_ and until_ change only while every word is shut.
//   3. The first era of a generation is at least two above the last one before, and Take runs
//      before the era changes. So a word of successes belongs to one era at a time.
//
// Why the memory orders suffice.
//
//   A count goes to the era that step 2 read. Step 1 reads a word that some Open stored or that was
//   counted on since (both are one release sequence or a chain of acq_rel operations), so step 2
//   reads the era_ and until_ of that Open or of a later one. Suppose that it reads those of a
//   later one. That Open's stores were preceded by a Shut of this word, and reading them (acquire
//   from release) makes the Shut happen before step 3. By coherence step 3 then sees the word as
//   the Shut left it, or later: it differs from the value of step 1 by invariant 1, and step 3
//   fails. So a compare-exchange that succeeds proves that no Shut lies between, and that what step
//   2 read still held.
//
//   Take reads a state that the lane was in at one moment. It reads the sum of admissions, then the
//   successes, then the admissions again, and is done if both sums are equal. Words only grow, so
//   equal sums mean that no word of admissions changed in between. A success that it reads
//   (acquire) comes after its call's admission, which the second sum therefore contains, and with
//   it the first: no success is read without its admission. If calls keep coming, Take shuts the
//   lane after some tries, so it is bounded.
//
//   What the mutex holder wrote before Open (say, the options that the count depends on) is visible
//   to a thread whose compare-exchange succeeds, by the same release and acquire.
//
//   retry_at_ stands alone: a thread that reads an old value admits or refuses as if it had come a
//   moment earlier. spread_ is a hint, and relaxed.
//
// Totals. The words of successes only grow, by one for each success and for each Open, which the
// holder of the mutex counts: so the successes of the breaker's whole life are the sum of the words
// less what Open added, whatever was taken or dropped since. The other words of a stripe count what
// does not pass through the first three: refusals, and outcomes that take the mutex. Each of them
// only grows and stands alone, so they are relaxed.
class BreakerLane {
 public:
  BreakerLane();  // shut

  // Counts an admission, and says in which era. False while the lane is shut, and after `until`.
  [[nodiscard]] bool TryAdmit(TimePoint now, std::uint64_t& era) {
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

  // Counts a success of a call that was admitted in `era`. False while the lane is shut, after
  // `until`, and for an era before the last one or of another generation.
  [[nodiscard]] bool TrySucceed(TimePoint now, std::uint64_t era) {
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

  // Every call before this time is refused; TimePoint::min() if none is.
  TimePoint retry_at() const {
    return TimePoint(Duration(retry_at_.load(std::memory_order_acquire)));
  }

  // Over how long the calls that it refuses should spread their retries: see Verdict::Reject. Zero
  // if it was forced open.
  Duration spread() const { return Duration(spread_.load(std::memory_order_relaxed)); }

  // Counts for the totals alone: a refusal; an outcome that TrySucceed has not counted.
  void CountRefusal() { Mine().refused.fetch_add(1, std::memory_order_relaxed); }
  void CountOutcome(Outcome outcome, bool slow) {
    Stripe& mine = Mine();
    mine.ended[Place(outcome)].fetch_add(1, std::memory_order_relaxed);
    if (slow && outcome != Outcome::kIgnored) mine.slow.fetch_add(1, std::memory_order_relaxed);
  }

  // The rest needs the breaker's mutex.

  struct Count {
    std::uint64_t admitted = 0;  // in the present era
    std::uint64_t succeeded = 0;
    std::uint64_t succeeded_before = 0;  // of calls admitted in the era before
  };
  // What was counted since the last Take.
  Count Take();
  // What Take would return, without taking it; perhaps with some later admissions.
  Count Peek() const;

  // Since the lane was made.
  struct Totals {
    std::array<std::uint64_t, 3> outcomes{};  // by Outcome
    std::uint64_t slow = 0;                   // of successes and failures
    std::uint64_t refused = 0;
  };
  Totals totals() const;

  void Shut();
  // The lane must be shut. `until` is inclusive.
  void Open(std::uint64_t era, TimePoint until);

  void set_spread(Duration spread) { spread_.store(spread.count(), std::memory_order_relaxed); }
  void RefuseBefore(TimePoint retry_at) {
    retry_at_.store(retry_at.time_since_epoch().count(), std::memory_order_release);
  }

 private:
  static constexpr std::uint64_t kMayCount = 1;
  static constexpr std::uint64_t kOne = 2;

  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> admitted{0};
    std::atomic<std::uint64_t> succeeded[2]{};  // by the era's lowest bit
    // Of the totals.
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> ended[3]{};  // by Outcome
    std::atomic<std::uint64_t> slow{0};
  };
  static_assert(sizeof(Stripe) == 64);  // there may be thousands of breakers

  Stripe& Mine() const { return stripes_[ThreadNumber() & mask_]; }
  TimePoint until() const { return TimePoint(Duration(until_.load(std::memory_order_acquire))); }
  struct Sums {
    std::uint64_t admitted = 0;
    std::uint64_t succeeded[2] = {};
  };
  // What is neither a success nor a failure is ignored.
  static std::size_t Place(Outcome outcome) {
    return std::min(static_cast<std::size_t>(outcome), std::size_t{2});
  }
  std::uint64_t Admitted() const;
  void ReadSucceeded(Sums& sums) const;
  Count SinceTake(const Sums& sums) const;
  template <class Do>
  void ForEachWord(Do act);

  const std::size_t mask_;
  const std::unique_ptr<Stripe[]> stripes_;
  std::atomic<std::uint64_t> era_{0};
  std::atomic<TimePoint::rep> until_{0};
  std::atomic<TimePoint::rep> retry_at_{TimePoint::min().time_since_epoch().count()};
  std::atomic<Duration::rep> spread_{0};  // relaxed: nothing else depends on it

  Sums taken_;                // the sums of the words at the last Take
  std::uint64_t raised_ = 0;  // what Open has added to each of these sums so far
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BREAKER_INTERNAL_BREAKER_LANE_H_
