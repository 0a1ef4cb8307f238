#include "src/rate/token_hold.h"

#include <algorithm>
#include <memory>

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
      schedule_(*bucket.schedule_) {
  if (const auto word = bucket.Hold()) {
    const std::int64_t spent = bucket.Spent(*word);
    const std::int64_t reached = schedule_.Reached(spent, bucket.known_spent_, axis_.Early());
    schedule_.Begin(axis_.burst_units(),
                    std::max({axis_.Position(seen_), bucket.reached_, reached}), spent);
  } else {
    schedule_.Advance(axis_.Position(seen_));
  }
  if (axis_.Ends(seen_)) Settle(bucket.rate(), bucket.burst(), TokenCarryOver::kAsIs);
}

TokenHold::~TokenHold() {
  if (!schedule_.IsQueue()) return;
  bucket_.reached_ = schedule_.at();
  bucket_.known_spent_ = schedule_.Spent();
  bucket_.LetGo(bucket_.known_spent_);
}

TimePoint TokenHold::EarliestFor(std::int64_t n, TimePoint from) {
  if (n < 0) return TimePoint::max();
  if (axis_.infinite()) return from;
  const std::int64_t units = axis_.Units(n);
  if (n > axis_.burst || units > schedule_.balance() + kMaxDebtUnits) return TimePoint::max();
  const std::int64_t begin = axis_.Position(from);
  const std::int64_t position = schedule_.EarliestFor(units, begin);
  if (position <= std::max(begin, schedule_.at())) return from;
  return axis_.ReadyAt(position - begin, from);
}

Reservation TokenHold::Take(std::int64_t n, TimePoint ready_at, bool moves) {
  if (n == 0 || axis_.infinite()) return {&bucket_, nullptr, ready_at};
  const auto promise = NewPromise(n, bucket_.forgiven());
  promise->units = axis_.Units(n);
  if (ready_at > now_) {
    promise->end = schedule_.EarliestFor(promise->units, axis_.Position(ready_at));
    promise->made_at = schedule_.at();
    promise->moves = moves;
    promise->ready_at = ready_at;
    schedule_.Add(promise);
    if (schedule_.IsQueue()) Stamp(*promise);
  } else {
    TakeNow(*promise);
  }
  return {&bucket_, promise, ready_at};
}

void TokenHold::TakeNow(Promise& promise) {
  schedule_.Take(promise.units);
  promise.end = schedule_.SpentByNow();
  Stamp(promise);
}

// That it can be given back from now on.
void TokenHold::Stamp(Promise& promise) const {
  promise.returned = bucket_.returned_.load(std::memory_order_relaxed);
  promise.axis = bucket_.axis_number_.load(std::memory_order_relaxed);
}

void TokenHold::Returned(std::int64_t units) {
  bucket_.returned_.fetch_add(static_cast<std::uint64_t>(units), std::memory_order_acq_rel);
}

Reservation TokenHold::Reserve(std::int64_t n, Duration max_wait, bool moves) {
  const TimePoint ready_at = EarliestFor(n, now_);
  if (ready_at == TimePoint::max() || SaturatingSub(ready_at, now_) > max_wait) {
    return {nullptr, nullptr, ready_at};
  }
  return Take(n, ready_at, moves);
}

bool TokenHold::Gave(const Reservation& reservation) const { return reservation.from_ == &bucket_; }

bool TokenHold::Lift(Reservation& reservation) {
  Promise* const promise = reservation.promise_.get();
  if (promise == nullptr) return false;
  if (promise->pending) {
    schedule_.Lift(*promise);
    return true;
  }
  return axis_.infinite() || promise->forgiven != bucket_.forgiven();
}

void TokenHold::Put(Reservation& reservation, std::optional<TimePoint> ready_at) {
  const std::shared_ptr<Promise>& promise = reservation.promise_;
  reservation.ready_at_ = ready_at.value_or(reservation.ready_at_);
  if (axis_.infinite()) return;
  if (!ready_at) {
    if (promise->forgiven == bucket_.forgiven()) schedule_.Add(promise);
    return;
  }
  promise->forgiven = bucket_.forgiven();
  promise->units = axis_.Units(promise->tokens);
  if (*ready_at <= now_) return TakeNow(*promise);
  promise->axis = 0;
  promise->end = schedule_.EarliestFor(promise->units, axis_.Position(*ready_at));
  schedule_.Add(promise);
}

// What was forgiven, or was to be acted on before the present epoch, has nothing to give back.
void TokenHold::Cancel(Promise& promise, TimePoint ready_at) {
  if (promise.moves) ready_at = std::min(ready_at, promise.ready_at);
  if (promise.cancelled || promise.forgiven != bucket_.forgiven()) return;
  if (promise.pending) {
    schedule_.Cancel(promise);
  } else if (ready_at >= axis_.begin && axis_.Position(ready_at) >= schedule_.at()) {
    schedule_.Return(axis_.Units(promise.tokens));
  } else {
    return;
  }
  promise.cancelled = true;
  Returned(axis_.Units(promise.tokens));
}

// What the bucket would have now if the tokens had not been taken is not known: it may have been
// full since, and what came then is lost. If all that was taken or given back since counts against
// it, it would have at most what there is room for: `end` + burst is the position at which it would
// have been full again if nobody had come. So who gives back at once gives back all, and so does
// whoever took from a bucket that has been short of tokens.
void TokenHold::TakeBack(Promise& promise) {
  if (promise.cancelled || promise.forgiven != bucket_.forgiven() || axis_.infinite()) return;
  if (promise.pending) {
    schedule_.Cancel(promise);
    Returned(promise.units);
  } else if (promise.axis == bucket_.axis_number_.load(std::memory_order_relaxed)) {
    const auto since = static_cast<std::int64_t>(bucket_.returned_.load(std::memory_order_relaxed) -
                                                 promise.returned);
    const std::int64_t most = promise.end + axis_.burst_units() - schedule_.at() - since;
    const std::int64_t units = std::clamp<std::int64_t>(most, 0, axis_.Units(promise.tokens));
    schedule_.Return(units);
    Returned(units);
  } else {
    return;
  }
  promise.cancelled = true;
  MoveUp();
}

void TokenHold::Charge(std::int64_t n) {
  if (axis_.infinite()) return;
  schedule_.Take(std::min(axis_.Units(n), schedule_.balance() + kMaxDebtUnits));
}

void TokenHold::Refund(std::int64_t n) {
  if (axis_.infinite()) return;
  schedule_.Return(axis_.Units(n));
  Returned(axis_.Units(n));
}

// Has those who wait go as early as they may by now.
void TokenHold::MoveUp() {
  if (!schedule_.AnyMoves()) return;
  schedule_.MoveUp();
  const bool queue = schedule_.IsQueue();
  const TimePoint now = std::max(seen_, axis_.begin);
  schedule_.ForEach([&](Promise& promise) {
    if (!promise.moves) return;
    Stamp(promise);
    if (!queue) promise.axis = 0;
    promise.BringForward(axis_.ReadyAt(promise.end - axis_.Position(now), now));
  });
}

// What no longer counts on the next axis. Who waits may go at once where the rate is infinite, and
// takes its tokens from a bucket that is filled anew.
void TokenHold::ForgetFor(const TokenAxis& next, bool reset) {
  const TimePoint now = next.begin;
  if (axis_.infinite() || next.infinite()) {
    schedule_.ForEach([now](Promise& promise) { promise.BringForward(now); });
    schedule_.Forget();
  } else if (reset) {
    schedule_.ForgetFixed();
    schedule_.ForEach([this](Promise& promise) { promise.forgiven = bucket_.forgiven(); });
  }
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
  if (next.SameScale(axis_) && !axis_.infinite()) next.carry = axis_.Fraction(begin);
  const std::int64_t kept = Inherited(schedule_.balance(), axis_, next, carry_over);
  const bool reset = carry_over == TokenCarryOver::kReset;
  if (reset || (axis_.infinite() && begin > axis_.begin)) bucket_.Forgive();
  ForgetFor(next, reset);
  schedule_.Rescale(next.burst_units(), kept, axis_.units_per_token, next.units_per_token);
  if (reset) schedule_.Fill();
  axis_ = next;
  bucket_.BeginEpoch(axis_, rate);
  seen_ = begin;
  MoveUp();
  schedule_.ForEach([](const Promise& promise) {
    if (!promise.moves && promise.waker != nullptr) promise.waker->Wake();
  });
}

}  // namespace holdfast::internal
