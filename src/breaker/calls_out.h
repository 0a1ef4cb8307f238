// The calls of a circuit breaker that are still out, by how long ago they began.
#ifndef HOLDFAST_SRC_BREAKER_CALLS_OUT_H_
#define HOLDFAST_SRC_BREAKER_CALLS_OUT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// Of each era (see BreakerLane) it knows how many calls are out, until all of these have been out
// for longer than `slow_call`: from then on they are hung, and only their number is kept. So no
// call is said to be hung that isn't; it is said later than it could be by as much as its era
// lasted. O(1), whatever is out: eras that are short beside slow_call are counted together.
class CallsOut {
 public:
  explicit CallsOut(Duration slow_call) : slow_call_(slow_call) {}

  // Forgets what is out: calls of eras before `first_era` are none of its own.
  void Clear(std::uint64_t first_era);

  // What follows was admitted in `era`, later than all before it, between `begin` and `until`.
  void BeginEra(std::uint64_t era, TimePoint begin, TimePoint until);
  void Admit(std::uint64_t calls);
  void End(std::uint64_t era, std::uint64_t calls);

  // Counts as hung what is out for long enough.
  void Age(TimePoint now);
  // Up to and including when nothing that is out becomes hung; TimePoint::max() if nothing is out.
  TimePoint NoneBefore() const;

  std::uint64_t hung() const { return hung_; }

 private:
  // Eras of up to an eighth of slow_call together are one part. So any two parts on end are longer
  // than that, of what is over by no more than slow_call there are 18 at most, and the ring is
  // never full.
  static constexpr int kPartsOfSlowCall = 8;
  static constexpr std::size_t kMostParts = 20;

  // Eras that are counted together, from first_era to the next part's.
  struct Part {
    std::uint64_t first_era;
    TimePoint begin;
    TimePoint until;
    std::uint64_t out;
  };

  Part& At(std::size_t number) { return parts_[(first_ + number) % kMostParts]; }
  const Part& At(std::size_t number) const { return parts_[(first_ + number) % kMostParts]; }

  const Duration slow_call_;
  std::array<Part, kMostParts> parts_;  // a ring, of size_
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::uint64_t first_era_ = 0;
  std::uint64_t hung_ = 0;  // of all eras before the first part
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_CALLS_OUT_H_
