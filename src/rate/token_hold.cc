#include "src/rate/token_hold.h"

#include <algorithm>

#include "src/rate/in_time.h"
#include "src/rate/promise_list.h"

namespace holdfast::internal {

using std::chrono::nanoseconds;

// Whoever read the clock long ago finds here the latest time that what others did proves.
TokenHold::TokenHold(TokenBucket& bucket, TimePoint now)
    : bucket_(bucket),
      lock_(bucket.mutex_),
      now_(now),
      seen_(std::max(now, bucket.Latest())),
      axis_(bucket.ReadAxis()),
      schedule_(*bucket.schedule_),
      core_(CoreNow()) {
  if (const auto word = bucket.Hold()) {
    const std::int64_t spent = bucket.Spent(*word);
    const std::int64_t reached = schedule_.Reached(spent, bucket.known_spent_, axis_.Early());
    schedule_.Begin(axis_.burst_units(),
                    std::max({axis_.Position(seen_), bucket.reached_, reached}), spent);
  } else {
    schedule_.Advance(axis_.Position(seen_));
  }
  core_ = CoreNow();
  if (axis_.Ends(seen_)) Settle(bucket.rate(), bucket.burst(), TokenCarryOver::kAsIs);
}

TokenHold::~TokenHold() {
  if (!schedule_.IsQueue()) return;
  bucket_.reached_ = schedule_.at();
  bucket_.known_spent_ = schedule_.Spent();
  bucket_.LetGo(bucket_.known_spent_);
}

Reservation TokenHold::Take(std::int64_t n, TimePoint ready_at, bool moves) {
  if (n == 0 || axis_.infinite()) return {&bucket_, nullptr, ready_at};
  const auto promise = NewPromise(n, bucket_.tally_.forgiven());
  promise->moves = moves;
  core_.Keep(promise, ready_at, /*at_once=*/ready_at <= now_);
  return {&bucket_, promise, ready_at};
}

Reservation TokenHold::Reserve(std::int64_t n, Duration max_wait, bool moves) {
  const TimePoint ready_at = EarliestFor(n, now_);
  if (!InTime(ready_at, now_, max_wait)) return {nullptr, nullptr, ready_at};
  return Take(n, ready_at, moves);
}

bool TokenHold::Lift(Reservation& reservation) {
  return reservation.promise_ != nullptr && core_.Lift(*reservation.promise_);
}

void TokenHold::Put(Reservation& reservation, std::optional<TimePoint> ready_at) {
  reservation.ready_at_ = ready_at.value_or(reservation.ready_at_);
  if (axis_.infinite()) return;
  if (ready_at) {
    core_.Keep(reservation.promise_, *ready_at, /*at_once=*/*ready_at <= now_);
  } else if (reservation.promise_->forgiven == bucket_.tally_.forgiven()) {
    schedule_.Add(reservation.promise_);
  }
}

void TokenHold::Cancel(Promise& promise, TimePoint ready_at) {
  core_.Cancel(promise, promise.moves ? std::min(ready_at, promise.ready_at) : ready_at);
}

// Begins a new epoch, with the tokens that there are now.
void TokenHold::Settle(double rate, std::int64_t burst, TokenCarryOver carry_over) {
  TimePoint begin = std::max(seen_, axis_.begin);
  // Where a later time was seen, what was generated until then must not come a second time.
  if (const std::int64_t ahead = schedule_.at() - axis_.Position(begin); ahead > 0) {
    begin = SaturatingAdd(begin, axis_.TimeFor(ahead, begin) + nanoseconds(1));
    schedule_.Advance(axis_.Position(begin));
  }
  TokenAxis next = AxisFor(rate, burst, begin);
  next.Continue(axis_);
  const bool reset = carry_over == TokenCarryOver::kReset;
  if (reset || (axis_.infinite() && begin > axis_.begin)) bucket_.tally_.Forgive();
  bucket_.BeginEpoch(next, rate);
  seen_ = begin;
  CoreNow().MoveTo(next, carry_over);
  axis_ = next;
  core_ = CoreNow();
}

}  // namespace holdfast::internal
