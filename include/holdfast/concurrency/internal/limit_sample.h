// One call that an AdaptiveLimiter measures.
#ifndef HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_SAMPLE_H_
#define HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_SAMPLE_H_

#include <cstdint>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/call/outcome.h"

namespace holdfast {

class AdaptiveLimiter;

namespace internal {

// Belongs to one window of the limiter, or to none. Move-only; destroyed unsettled, the call is
// ignored. The limiter must outlive it.
class LimitSample {
 public:
  LimitSample() = default;
  LimitSample(LimitSample&& other) noexcept
      : limiter_(std::exchange(other.limiter_, nullptr)),
        window_(other.window_),
        began_(other.began_) {}
  LimitSample& operator=(LimitSample&& other) noexcept {
    if (this != &other) {
      Settle(TimePoint::min(), Outcome::kIgnored);
      limiter_ = std::exchange(other.limiter_, nullptr);
      window_ = other.window_;
      began_ = other.began_;
    }
    return *this;
  }
  ~LimitSample() { Settle(TimePoint::min(), Outcome::kIgnored); }

  AdaptiveLimiter* limiter() const { return limiter_; }  // null: the call is not measured

  // Counts the call. The first time counts; `now` is not read for kIgnored.
  void Settle(TimePoint now, Outcome outcome) noexcept {
    if (limiter_ != nullptr) SettleMeasured(now, outcome);
  }

 private:
  friend class holdfast::AdaptiveLimiter;

  void SettleMeasured(TimePoint now, Outcome outcome) noexcept;

  AdaptiveLimiter* limiter_ = nullptr;
  std::uint64_t window_ = 0;
  TimePoint began_ = {};
};

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_INTERNAL_LIMIT_SAMPLE_H_
