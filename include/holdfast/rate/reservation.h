// A Reservation is a bucket's promise of tokens at a time.
//
//   holdfast::TokenBucket bucket({.rate = 100, .burst = 20});
//   holdfast::Reservation place = bucket.Reserve(5);
//   if (place.Delay() > 1s) place.Cancel();
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

// Where a Reservation came from.
class Promiser {
 public:
  virtual TimePoint Now() const = 0;
  virtual void Cancel(Promise& promise, TimePoint ready_at, TimePoint now) = 0;
  // For a call that waits: when it may go by now, at `ready_at` if nothing has changed. `waker` is
  // rung where that gets earlier, from now on and until there is another; null: none.
  virtual TimePoint Watch(Promise& promise, TimePoint ready_at, Waker* waker) = 0;
  // Of a call that was let in, and refused behind it: takes back what can be without anything being
  // given twice.
  virtual void TakeBack(Promise& promise, TimePoint now) = 0;

 protected:
  ~Promiser() = default;
};

}  // namespace internal

// A value: dropping it keeps the promise, the tokens are spent. Not to be used after its bucket is
// gone. Different copies may be used in different threads at once.
class [[nodiscard]] Reservation {
 public:
  // False where the bucket can't give the tokens in time; it then holds nothing.
  bool ok() const { return from_ != nullptr; }

  // When the tokens may be acted on; TimePoint::max() when !ok().
  TimePoint ready_at() const { return ok() ? ready_at_ : TimePoint::max(); }

  // When !ok(): the time at which they would have been ready, which was too late; TimePoint::max()
  // for never.
  TimePoint too_late_at() const { return ready_at_; }

  // How long until then, at least zero; Duration::max() when !ok().
  Duration Delay() const;
  Duration DelayFrom(TimePoint now) const;

  // Gives the tokens back: the bucket is as if they had never been reserved, but for other
  // reservations, which keep their times. In any order, once for all copies, and not after
  // ready_at() has passed: those that were ready at once can be given back at that very instant, if
  // nobody is known to have seen a later one.
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
