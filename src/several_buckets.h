// Several buckets that are asked in one decision: each gives its tokens, or none does.
#ifndef HOLDFAST_SRC_SEVERAL_BUCKETS_H_
#define HOLDFAST_SRC_SEVERAL_BUCKETS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/internal/rate_limit_plan.h"
#include "holdfast/internal/refusals.h"
#include "holdfast/reservation.h"
#include "holdfast/time.h"
#include "holdfast/token_bucket.h"

namespace holdfast::internal {

// One of them while it is held, as TokenHold says; in a list of all.
class HeldBucket {
 public:
  virtual TimePoint EarliestFor(std::int64_t n, TimePoint from) = 0;
  virtual Reservation Take(std::int64_t n, TimePoint ready_at) = 0;
  virtual bool Lift(Reservation& reservation) = 0;
  virtual void Put(Reservation& reservation, std::optional<TimePoint> ready_at) = 0;
  virtual bool Impossible(std::int64_t n) const = 0;
  virtual const Refusals& refusals() const = 0;

  HeldBucket* next = nullptr;
  Reservation* taken = nullptr;  // when deciding anew

 protected:
  ~HeldBucket() = default;
};

class SeveralBuckets final : public TokenSource {
 public:
  // Throws std::invalid_argument, in the name of `policy`, for none, for a null one, and for one
  // twice.
  SeveralBuckets(std::string_view policy, std::vector<std::shared_ptr<TokenBucket>> buckets);

  Answer Take(const Call& call, TimePoint now, std::int64_t n, Duration max_wait,
              Reservations& taken) override {
    return TakeWith(nullptr, call, now, n, max_wait, taken);
  }
  TimePoint Look(Call& call, std::int64_t n, Reservations& taken) override {
    return LookWith(nullptr, call, n, taken);
  }
  void Settle(const Call& call, TimePoint now, std::int64_t n) override;
  std::string Describe() const override;
  void BindClock(ClockBinder& binder, std::string_view policy) override;

  // The same with one more that is held already, if it isn't null; what was taken of it comes first
  // in `taken`.
  Answer TakeWith(HeldBucket* first, const Call& call, TimePoint now, std::int64_t n,
                  Duration max_wait, Reservations& taken);
  TimePoint LookWith(HeldBucket* first, Call& call, std::int64_t n, Reservations& taken);

 private:
  std::vector<std::shared_ptr<TokenBucket>> buckets_;  // always locked in this order
};

// Takes `n` more tokens, or gives them back where that is negative.
void SettleBucket(TokenBucket& bucket, TimePoint now, std::int64_t n);
// In words, for Stack::Describe.
std::string DescribeBucket(const TokenBucket& bucket);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_SEVERAL_BUCKETS_H_
