// Several buckets in one decision: each of them gives its tokens, or none does.
//
// All buckets are locked while the decision is made. Against deadlock their mutexes are locked in
// one order everywhere: first that of one shard of keys, or of the bucket that keys without room
// share (which only its KeyedTokenBucket knows); then those of the buckets for all keys, in the
// order of their addresses. No thread locks two shards at once, nor a shard while it has locked a
// bucket. While any is locked no function of the user's is called; wakers are only woken.
#ifndef HOLDFAST_SRC_RATE_SEVERAL_BUCKETS_H_
#define HOLDFAST_SRC_RATE_SEVERAL_BUCKETS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/rate/internal/limit_totals.h"
#include "holdfast/rate/internal/rate_limit_plan.h"
#include "holdfast/rate/reservation.h"
#include "holdfast/rate/token_bucket.h"
#include "src/rate/token_hold.h"

namespace holdfast::internal {

// One of the buckets while it is locked (see TokenHold), in a list of all.
class HeldBucket {
 public:
  virtual TimePoint EarliestFor(std::int64_t n, TimePoint from) = 0;
  virtual Reservation Take(std::int64_t n, TimePoint ready_at) = 0;
  virtual bool Gave(const Reservation& reservation) const = 0;
  virtual bool Lift(Reservation& reservation) = 0;
  virtual void Put(Reservation& reservation, std::optional<TimePoint> ready_at) = 0;
  virtual bool Impossible(std::int64_t n) const = 0;
  virtual const CountedRefusals& refusals() const = 0;

  HeldBucket* next = nullptr;
  Reservation* taken = nullptr;  // when deciding anew

 protected:
  ~HeldBucket() = default;
};

class HeldTokenBucket final : public HeldBucket {
 public:
  HeldTokenBucket(TokenBucket& of, TimePoint now) : bucket_(of), hold_(of, now) {}

  TimePoint EarliestFor(std::int64_t n, TimePoint from) override {
    return hold_.EarliestFor(n, from);
  }
  Reservation Take(std::int64_t n, TimePoint ready_at) override { return hold_.Take(n, ready_at); }
  bool Gave(const Reservation& reservation) const override { return hold_.Gave(reservation); }
  bool Lift(Reservation& reservation) override { return hold_.Lift(reservation); }
  void Put(Reservation& reservation, std::optional<TimePoint> ready_at) override {
    hold_.Put(reservation, ready_at);
  }
  bool Impossible(std::int64_t n) const override { return n < 0 || n > bucket_.burst(); }
  const CountedRefusals& refusals() const override { return bucket_.refusals(); }

 private:
  TokenBucket& bucket_;
  TokenHold hold_;
};

class SeveralBuckets final : public TokenSource {
 public:
  // Throws std::invalid_argument, in the name of `policy`, for none, for a null one, and for one
  // twice.
  SeveralBuckets(std::string_view policy, std::vector<std::shared_ptr<TokenBucket>> buckets);

  Answer Take(std::string_view, TimePoint now, std::int64_t n, Duration max_wait, bool,
              Reservations& taken) override {
    return TakeWith(nullptr, now, n, max_wait, taken);
  }
  TimePoint Look(Call& call, std::string_view, std::int64_t n, Reservations& taken) override {
    Watch(call, taken);
    return LookWith(nullptr, call, n, taken);
  }
  void Settle(std::string_view key, TimePoint now, std::int64_t n) override;
  std::string Describe(const Changes& changes) const override;
  void BindClock(ClockBinder& binder, std::string_view policy) override;
  void Objects(CollectedObjects& objects, std::string_view policy) const override;

  // The same with one more that is held already, if it isn't null; what was taken of it comes first
  // in `taken`.
  Answer TakeWith(HeldBucket* first, TimePoint now, std::int64_t n, Duration max_wait,
                  Reservations& taken);
  TimePoint LookWith(HeldBucket* first, Call& call, std::int64_t n, Reservations& taken);
  // Before LookWith, with nothing held.
  static void Watch(Call& call, Reservations& taken);

 private:
  const std::vector<std::shared_ptr<TokenBucket>> given_;  // in the order of who gave them
  std::vector<std::shared_ptr<TokenBucket>> buckets_;      // always locked in this order
};

// Takes `n` more tokens, or gives them back where that is negative.
void SettleBucket(TokenBucket& bucket, TimePoint now, std::int64_t n);
// In words, for Stack::Describe, as it is after the changes.
std::string DescribeBucket(const TokenBucket& bucket, const Changes& changes);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_SEVERAL_BUCKETS_H_
