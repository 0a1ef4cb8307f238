// The calls of a circuit breaker that have not ended, by how long ago they began.
#ifndef HOLDFAST_SRC_BREAKER_CALLS_OUT_H_
#define HOLDFAST_SRC_BREAKER_CALLS_OUT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// A call is out from its admission until its outcome is recorded; it hangs once it has been out for
// longer than `slow_call`. Single calls are not tracked, because a call that the breaker lane
// admits leaves nothing but a count.
//
// Model. Time since the first era is cut into parts; a part is one era (breaker_machine.h) or,
// where eras are short, a few of them. A part knows how many of its calls are out. Once the last of
// its calls has been out for longer than slow_call, all of them hang: the part is dropped, and its
// calls go to hung_. An outcome is subtracted from the part of its call's era or, if that has been
// dropped, from hung_.
//
// Invariants. Parts are in the order of their eras and adjoin. hung_ counts calls of eras before
// the first part, and of no era before first_era_. No call is said to hang that does not; a call is
// said to hang late by at most the length of its part. Every operation is O(1): there are at most
// kMostParts parts. Not thread-safe; the breaker's mutex guards it.
class CallsOut {
 public:
  explicit CallsOut(Duration slow_call) : slow_call_(slow_call) {}

  // Forgets all calls. Calls of eras before `first_era` are ignored from now on.
  void Clear(std::uint64_t first_era);

  // Calls from now on are admitted in `era`, between `begin` and `until`. Eras only grow.
  void BeginEra(std::uint64_t era, TimePoint begin, TimePoint until);
  void Admit(std::uint64_t calls);
  void End(std::uint64_t era, std::uint64_t calls);

  // Counts the calls as hung that hang at `now`.
  void Age(TimePoint now);
  // The last moment at which Age finds no further call to hang; TimePoint::max() if none is out.
  TimePoint NoneBefore() const;

  std::uint64_t hung() const { return hung_; }

 private:
  // Eras that together last an eighth of slow_call or less are one part. So two adjoining parts
  // last longer than that, and at most 18 parts cover the slow_call for which Age keeps them: the
  // ring never fills up.
  static constexpr int kPartsOfSlowCall = 8;
  static constexpr std::size_t kMostParts = 20;

  struct Part {
    std::uint64_t first_era;  // the part's eras end before the next part's first
    TimePoint begin;
    TimePoint until;    // inclusive
    std::uint64_t out;  // how many of its calls are out
  };

  Part& At(std::size_t number) { return parts_[(first_ + number) % kMostParts]; }
  const Part& At(std::size_t number) const { return parts_[(first_ + number) % kMostParts]; }

  const Duration slow_call_;
  std::array<Part, kMostParts> parts_;  // a ring of size_ parts, from first_
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::uint64_t first_era_ = 0;
  std::uint64_t hung_ = 0;  // calls of eras before the first part that are out
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_CALLS_OUT_H_
