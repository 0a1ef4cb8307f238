// Over how long the calls that a circuit breaker refused should spread their retries.
#ifndef HOLDFAST_SRC_BREAKER_RETURN_SPREAD_H_
#define HOLDFAST_SRC_BREAKER_RETURN_SPREAD_H_

#include <algorithm>
#include <cstdint>

#include "holdfast/base/time.h"
#include "holdfast/call/verdict.h"

namespace holdfast::internal {

// Model. Calls that are refused within a time D come back over kReturnTimes * D (verdict.h), on top
// of those that come anyway; after one opening that is little. But a breaker that is open for a
// share s of the time admits in the rest what it has refused as well: 1 / (1 - s) of what is sent,
// however long the calls take to come back. If the service has no room for that, it fails, the
// breaker opens again, and s stays as it is: the breaker keeps a healthy service down.
//
// So each time the breaker trips while refused calls come back, the next ones take twice as long,
// until those that have no time for it give up and the rest fits. They never take longer than
// kReturnTimes times what the trouble has lasted: what was sent since then comes back in that time
// with little load. The trouble is over once all have had their time to come back.
class ReturnSpread {
 public:
  // The breaker opens; `tripped`: after it had let calls through, other than probes.
  void Open(TimePoint now, bool tripped) {
    back_before_ = back_by_;
    if (now > back_by_) {
      trouble_began_ = now;
      times_ = 1;
    } else if (tripped) {
      times_ = std::min(2 * times_, kMostTimes);
    }
  }

  // The spread of the calls that are refused from then on for `length`, until `until`. Called again
  // if that changes.
  Duration Refuse(Duration length, TimePoint until) {
    const Duration most = std::max(length, SaturatingSub(until, trouble_began_));
    spread_ = std::min(SaturatingMul(length, times_), most);
    back_by_ =
        std::max(back_before_, SaturatingAdd(until, SaturatingMul(spread_, Verdict::kReturnTimes)));
    return spread_;
  }

  // The breaker goes on with a ramp, which refuses some calls for `length`, until `until`.
  Duration Ramp(Duration length, TimePoint until) {
    back_before_ = back_by_;
    return Refuse(std::max(length, spread_ / times_), until);
  }

  // All is forgotten: the breaker was reset.
  void Clear() { *this = ReturnSpread(); }

 private:
  static constexpr std::int64_t kMostTimes = std::int64_t{1} << 40;

  TimePoint trouble_began_ = TimePoint::min();
  TimePoint back_by_ = TimePoint::min();      // when the last refused call has come back
  TimePoint back_before_ = TimePoint::min();  // the same, of those before the present opening
  std::int64_t times_ = 1;
  Duration spread_{0};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_RETURN_SPREAD_H_
