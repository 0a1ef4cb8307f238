// A TokenBucket in one thread's hands: what its one word can't say is done here.
#ifndef HOLDFAST_SRC_RATE_TOKEN_HOLD_H_
#define HOLDFAST_SRC_RATE_TOKEN_HOLD_H_

#include <cstdint>
#include <mutex>
#include <optional>

#include "holdfast/rate/token_bucket.h"
#include "src/rate/token_axis.h"
#include "src/rate/token_schedule.h"

namespace holdfast::internal {

class TokenHold {
 public:
  TokenHold(TokenBucket& bucket, TimePoint now);
  TokenHold(const TokenHold&) = delete;
  TokenHold& operator=(const TokenHold&) = delete;
  // Lets go of the word, if one number says it all again.
  ~TokenHold();

  // When `n` tokens come, not before `from`, which is now or later; TimePoint::max() for never.
  TimePoint EarliestFor(std::int64_t n, TimePoint from);
  // Takes them then; the promise of a call that waits for this bucket alone moves.
  Reservation Take(std::int64_t n, TimePoint ready_at, bool moves = false);
  Reservation Reserve(std::int64_t n, Duration max_wait, bool moves = false);

  // For one that is decided anew: takes its promise out, unless the time of that has come; and puts
  // it in again, to be acted on at another time or, for none, as it was. What was forgiven is taken
  // anew.
  bool Gave(const Reservation& reservation) const;
  bool Lift(Reservation& reservation);
  void Put(Reservation& reservation, std::optional<TimePoint> ready_at);

  // As TokenBucket's.
  void Cancel(Promise& promise, TimePoint ready_at);
  void TakeBack(Promise& promise);
  void Charge(std::int64_t n);
  void Refund(std::int64_t n);
  void Settle(double rate, std::int64_t burst, TokenCarryOver carry_over);

 private:
  void ForgetFor(const TokenAxis& next, bool reset);
  void MoveUp();
  void Stamp(Promise& promise) const;
  void TakeNow(Promise& promise);
  void Returned(std::int64_t units);

  TokenBucket& bucket_;
  const std::lock_guard<std::mutex> lock_;
  const TimePoint now_;
  TimePoint seen_;  // the latest time that anybody is known to have seen
  TokenAxis axis_;
  TokenSchedule& schedule_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_TOKEN_HOLD_H_
