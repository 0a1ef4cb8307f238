// One call that an AdaptiveLimiter measures.
#ifndef HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_SAMPLE_H_
#define HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_SAMPLE_H_

#include <cstdint>
#include <memory>

#include "holdfast/base/time.h"
#include "holdfast/call/outcome.h"

namespace holdfast {

class AdaptiveLimiter;

namespace internal {

// As a deleter, it settles a sample as ignored.
struct LimitSampleDeleter {
  void operator()(AdaptiveLimiter* limiter) const noexcept;

  std::uint64_t window = 0;
  TimePoint began = {};
};

// Belongs to one window of the limiter, or to none. Move-only; destroyed unsettled, the call is
// ignored. The limiter must outlive it.
class LimitSample {
 public:
  AdaptiveLimiter* limiter() const { return limiter_.get(); }  // null: the call is not measured

  // Counts the call. The first time counts; `now` is not read for kIgnored.
  void Settle(TimePoint now, Outcome outcome) noexcept {
    if (limiter_ != nullptr) SettleMeasured(now, outcome);
  }

 private:
  friend class holdfast::AdaptiveLimiter;

  void SettleMeasured(TimePoint now, Outcome outcome) noexcept;

  std::unique_ptr<AdaptiveLimiter, LimitSampleDeleter> limiter_;
};

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_SAMPLE_H_
