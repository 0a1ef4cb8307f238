// A TokenBucket that one thread has locked: what its one word cannot say is done here.
//
// The constructor locks the mutex, sets kHeld in the word, and brings the schedule up to date: it
// takes over the promises made since the word was last let go, and advances to the latest time that
// anybody is known to have seen. That is the latest of `now`, of the hint in latest_, of the
// position that the last holder reached, and of what the word and the promises prove
// (TokenSchedule::Reached): whoever took tokens at once must have seen a time at which they were
// there. So a caller that read the clock long ago gets nothing twice.
//
// The destructor lets the word go if one number says everything again, and otherwise leaves it
// held: the next caller comes to the mutex and finds the schedule as it was. The word is read and
// written only under the mutex then, and the mutex orders all of it.
//
// Settle begins a new epoch, for new limits or where the axis ends: it settles the past on the old
// axis, converts the balance and the promises to the new one (rounded down, so that nothing is
// gained), and has the promises that move, those of waiting calls, take the earliest positions that
// they may have. If somebody saw a later time than the epoch's begin, that begin moves up to it,
// lest tokens generated until then come a second time.
#ifndef HOLDFAST_SRC_RATE_TOKEN_HOLD_H_
#define HOLDFAST_SRC_RATE_TOKEN_HOLD_H_

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>

#include "holdfast/rate/token_bucket.h"
#include "src/rate/bucket_core.h"
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
  TimePoint EarliestFor(std::int64_t n, TimePoint from) { return core_.EarliestFor(n, from); }
  // Takes them then; the promise of a call that waits for this bucket alone moves.
  Reservation Take(std::int64_t n, TimePoint ready_at, bool moves = false);
  Reservation Reserve(std::int64_t n, Duration max_wait, bool moves = false);

  // For one that is decided anew: takes its promise out, unless the time of that has come; and puts
  // it in again, to be acted on at another time or, for none, as it was. What was forgiven is taken
  // anew.
  bool Gave(const Reservation& reservation) const { return reservation.from_ == &bucket_; }
  bool Lift(Reservation& reservation);
  void Put(Reservation& reservation, std::optional<TimePoint> ready_at);

  // As TokenBucket's.
  void Cancel(Promise& promise, TimePoint ready_at);
  void TakeBack(Promise& promise) { core_.TakeBack(promise); }
  void Charge(std::int64_t n) { core_.Charge(n); }
  void Refund(std::int64_t n) { core_.Refund(n); }
  void Settle(double rate, std::int64_t burst, TokenCarryOver carry_over);

 private:
  BucketCore CoreNow() {
    return {axis_,          std::max(seen_, axis_.begin),
            bucket_.tally_, BucketCore::Counted::kUnits,
            &schedule_,     nullptr};
  }

  TokenBucket& bucket_;
  const std::lock_guard<std::mutex> lock_;
  const TimePoint now_;
  TimePoint seen_;  // the latest time that anybody is known to have seen
  TokenAxis axis_;
  TokenSchedule& schedule_;
  BucketCore core_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_TOKEN_HOLD_H_
