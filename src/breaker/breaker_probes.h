// The probes of a half-open circuit breaker that have not ended.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_PROBES_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_PROBES_H_

#include <algorithm>
#include <cstdint>
#include <map>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// Each probe has a number, which grows from one to the next, and a lease: the time by which it must
// have ended.
//
// Invariant: leases end in the order of the numbers, so the first probe's lease ends first. A
// caller may pass a time older than one that was passed before; its probe then gets the lease of
// the probe before it.
class BreakerProbes {
 public:
  void Clear() { lease_ends_.clear(); }

  // May throw for want of memory, and then nothing has changed.
  void Add(std::uint64_t number, TimePoint lease_end) {
    if (!lease_ends_.empty()) lease_end = std::max(lease_end, lease_ends_.rbegin()->second);
    lease_ends_.emplace_hint(lease_ends_.end(), number, lease_end);
  }
  void End(std::uint64_t number) { lease_ends_.erase(number); }

  std::uint64_t in_flight() const { return lease_ends_.size(); }

  // A probe hangs after this time; TimePoint::max() without probes.
  TimePoint first_lease_end() const {
    return lease_ends_.empty() ? TimePoint::max() : lease_ends_.begin()->second;
  }

 private:
  std::map<std::uint64_t, TimePoint> lease_ends_;  // by number
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_PROBES_H_
