// Which calls an AdaptiveLimiter measures, decided without its mutex.
#ifndef HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_PICKER_H_
#define HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_PICKER_H_

#include <absl/base/attributes.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "holdfast/base/internal/thread_number.h"
#include "holdfast/base/time.h"

namespace holdfast::internal {

// To measure a call takes the limiter's mutex and reads the clock, so under load only a sample of
// the calls is measured: one in 2^shift, as the sampler (src/concurrency/limit_sampler.h) sets it.
// Nor is a call measured while the sampler would turn it away. The limiter copies both facts from
// the sampler into atomics here, each time it has changed it.
//
// Each thread counts its calls in one of several stripes, and picks by the golden ratio: the picked
// calls are spread as evenly as can be, and no period in the calls of a thread makes them a biased
// sample.
//
// Why relaxed suffices: all of these are hints, and the sampler checks under the mutex whatever
// they let through. A stale hint makes a call measured that need not have been, or the other way
// round, and no data is read on the strength of it. A count that two threads of one stripe lose in
// a race shifts the sample by one call.
class LimitPicker {
 public:
  LimitPicker() : mask_(StripeCount() - 1), stripes_(std::make_unique<Stripe[]>(mask_ + 1)) {}

  // True for the calls of the sample.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Picks() {
    const int shift = shift_.load(std::memory_order_relaxed);
    if (shift == 0) return true;
    std::atomic<std::uint64_t>& calls = stripes_[ThreadNumber() & mask_].calls;
    const std::uint64_t call = calls.load(std::memory_order_relaxed);
    calls.store(call + 1, std::memory_order_relaxed);
    return (call * 0x9e37'79b9'7f4a'7c15) >> (64 - shift) == 0;
  }

  // False while the sampler takes no call.
  bool MayJoin(TimePoint now) const { return now >= Load(busy_until_) || now < Load(busy_from_); }

  // With the limiter's mutex held.
  void Publish(int shift, TimePoint busy_from, TimePoint busy_until) {
    shift_.store(shift, std::memory_order_relaxed);
    busy_from_.store(busy_from.time_since_epoch().count(), std::memory_order_relaxed);
    busy_until_.store(busy_until.time_since_epoch().count(), std::memory_order_relaxed);
  }

 private:
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> calls{0};
  };

  static TimePoint Load(const std::atomic<TimePoint::rep>& time) {
    return TimePoint(Duration(time.load(std::memory_order_relaxed)));
  }

  std::atomic<int> shift_{0};
  std::atomic<TimePoint::rep> busy_from_{TimePoint::min().time_since_epoch().count()};
  std::atomic<TimePoint::rep> busy_until_{TimePoint::min().time_since_epoch().count()};
  const std::size_t mask_;
  const std::unique_ptr<Stripe[]> stripes_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_PICKER_H_
