// A Reservation is what a bucket's Reserve returns: the promise that a caller may act on its tokens
// from some time on.
//
//   holdfast::TokenBucket bucket({.rate = 100, .burst = 20});
//   holdfast::Reservation reservation = bucket.Reserve(5);
//   if (reservation.Delay() > 1s) reservation.Cancel();
#ifndef HOLDFAST_RATE_RESERVATION_H_
#define HOLDFAST_RATE_RESERVATION_H_

#include <memory>
#include <utility>

#include "holdfast/base/time.h"

namespace holdfast {

class KeyedTokenBucket;
class TokenBucket;
class Waker;

namespace internal {

struct Promise;
class TokenHold;
class TokenWait;

// The bucket that gave a Reservation.
class Promiser {
 public:
  virtual TimePoint Now() const = 0;
  virtual void Cancel(Promise& promise, TimePoint ready_at, TimePoint now) = 0;
  // For a call that waits: returns when it may go, which is `ready_at` if nothing has changed.
  // Until the next Watch, `waker` is woken whenever that time gets earlier; null: nobody is.
  virtual TimePoint Watch(Promise& promise, TimePoint ready_at, Waker* waker) = 0;
  // For a call that was admitted, and then refused by a policy below: takes back as many tokens as
  // can be without giving any twice.
  virtual void TakeBack(Promise& promise, TimePoint now) = 0;

 protected:
  ~Promiser() = default;
};

}  // namespace internal

// A value. Dropping it keeps the promise: the tokens are spent. It must not be used after its
// bucket is gone. Different copies may be used in different threads at once.
class [[nodiscard]] Reservation {
 public:
  // False if the bucket cannot give the tokens in time; the reservation then holds nothing.
  bool ok() const { return from_ != nullptr; }

  // When the caller may act on the tokens; TimePoint::max() when !ok().
  TimePoint ready_at() const { return ok() ? ready_at_ : TimePoint::max(); }

  // When !ok(): the time at which the tokens would have been ready, which was too late;
  // TimePoint::max() for never.
  TimePoint too_late_at() const { return ready_at_; }

  // The time from now, or from `now`, until ready_at(), at least zero; Duration::max() when !ok().
  Duration Delay() const;
  Duration DelayFrom(TimePoint now) const;

  // Gives the tokens back: the bucket is as if they had never been reserved, except that other
  // reservations keep their times. Works in any order, once for all copies, and does nothing after
  // ready_at() has passed. Tokens that were ready at once can be given back at that very instant,
  // if the bucket has seen no later time.
  void Cancel();
  void CancelAt(TimePoint now);

 private:
  friend class KeyedTokenBucket;
  friend class TokenBucket;
  friend class internal::TokenHold;
  friend class internal::TokenWait;
  Reservation(internal::Promiser* from, std::shared_ptr<internal::Promise> promise,
              TimePoint ready_at)
      : from_(from), promise_(std::move(promise)), ready_at_(ready_at) {}

  internal::Promiser* from_;                    // null where it is not granted
  std::shared_ptr<internal::Promise> promise_;  // null where nothing was taken
  TimePoint ready_at_;
};

}  // namespace holdfast

#endif  // HOLDFAST_RATE_RESERVATION_H_
