// How a call waits for tokens that were promised to it.
#ifndef HOLDFAST_SRC_RATE_TOKEN_WAIT_H_
#define HOLDFAST_SRC_RATE_TOKEN_WAIT_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "holdfast/rate/reservation.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast::internal {

class TokenWait {
 public:
  // As TokenBucket::ReserveAt, for a call that is going to wait.
  static Reservation Reserve(TokenBucket& bucket, TimePoint now, std::int64_t n, Duration max_wait,
                             TakenFor whom) {
    return bucket.Reserve(now, n, max_wait, whom);
  }

  // When the call may go by now; `waker` is rung where that gets earlier. Null, before the waker's
  // end: nobody is.
  static TimePoint Watch(Reservation& reservation, Waker* waker) {
    if (reservation.promise_ != nullptr) {
      reservation.ready_at_ =
          reservation.from_->Watch(*reservation.promise_, reservation.ready_at_, waker);
    }
    return reservation.ready_at_;
  }

  static void GiveBack(Reservation& reservation, TimePoint now) {
    Watch(reservation, nullptr);
    reservation.CancelAt(now);
  }

  // Of a call that was let in, and refused behind.
  static void TakeBack(const Reservation& reservation, TimePoint now) {
    if (reservation.promise_ != nullptr) reservation.from_->TakeBack(*reservation.promise_, now);
  }

  // For who gives reservations in parts.
  static Reservation Make(Promiser* from, std::shared_ptr<Promise> promise, TimePoint ready_at) {
    return {from, std::move(promise), ready_at};
  }
  static const Promiser* GiverOf(const Reservation& reservation) { return reservation.from_; }
  static const std::shared_ptr<Promise>& PromiseOf(const Reservation& reservation) {
    return reservation.promise_;
  }
  static void SetReadyAt(Reservation& reservation, TimePoint ready_at) {
    reservation.ready_at_ = ready_at;
  }

  // Sleeps on `clock` (null: steady) until the call may go; false, with the tokens given back,
  // where it was stopped. `look()` is called before each sleep.
  template <class Look>
  static bool Sleep(Clock* clock, Reservation& reservation, const std::stop_token& stop,
                    const Look& look) {
    if (clock == nullptr) clock = SteadyClock();
    Parker parker;
    const std::stop_callback wake(stop, [&parker] { parker.Wake(); });
    Held held{reservation, clock};
    while (!stop.stop_requested()) {
      look();
      const TimePoint ready_at = Watch(reservation, &parker);
      if (clock->Now() >= ready_at) {
        held.acted_on = true;
        return true;
      }
      clock->WaitUntil(ready_at, parker);
    }
    return false;
  }

 private:
  struct Held {
    Reservation& reservation;
    Clock* clock;
    bool acted_on = false;

    ~Held() {
      if (acted_on) {
        Watch(reservation, nullptr);
      } else {
        GiveBack(reservation, clock->Now());
      }
    }
  };
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_TOKEN_WAIT_H_
