// The breakers of a KeyedCircuitBreaker, for who adds up what they have counted.
#ifndef HOLDFAST_SRC_BREAKER_LIVE_BREAKERS_H_
#define HOLDFAST_SRC_BREAKER_LIVE_BREAKERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "src/breaker/breaker_totals.h"

namespace holdfast::internal {

// Model. Each breaker enters one of a few parts when it is made, and leaves it when it is
// destroyed; the part then keeps the breaker's totals. A Look goes from part to part. A part has a
// mutex, so what a breaker has counted is found once, in the breaker or in what the part keeps,
// and no sum ever shrinks. That holds for a breaker whose key was forgotten, too: its outcomes are
// added until its last holder lets go of it.
//
// A Look holds no breaker, since a breaker that somebody holds is not forgotten (base/internal/
// keyed.h), and takes no lock that a call for a known key takes, but each breaker's own in turn. A
// thread that makes or destroys a breaker waits for at most one part.
//
// Thread-safe. A part's mutex comes before the mutex of a breaker. No code of the user's runs under
// either. The one atomic only spreads the breakers over the parts, and is relaxed.
class LiveBreakers {
 public:
  // A breaker that keeps `live`. Its name ends with a key of so many bytes.
  static std::shared_ptr<CircuitBreaker> Make(std::shared_ptr<LiveBreakers> live,
                                              CircuitBreaker::Options options,
                                              std::size_t key_size = 0);

  struct Sums {
    BreakerTotals totals;
    std::array<std::uint64_t, 3> in_state{};  // how many breakers, by BreakerState
  };
  Sums Look() const;

  Watches& watches() { return watches_; }  // of all of them

 private:
  class Member;
  struct Part {
    mutable std::mutex mutex;
    std::vector<Member*> members;
    BreakerTotals gone;  // of breakers that were destroyed
  };

  Part& NextPart() { return parts_[next_.fetch_add(1, std::memory_order_relaxed) % kParts]; }
  static void AddTo(Sums& sums, const CircuitBreaker& breaker);

  static constexpr std::size_t kParts = 32;
  std::array<Part, kParts> parts_;
  std::atomic<std::size_t> next_{0};
  Watches watches_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_LIVE_BREAKERS_H_
