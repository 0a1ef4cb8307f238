#include "src/rate/bucket_core.h"

#include <algorithm>

namespace holdfast::internal {

void BucketCore::Keep(const std::shared_ptr<Promise>& promise, TimePoint ready_at, bool at_once) {
  promise->units = axis_->Units(promise->tokens);
  promise->ready_at = ready_at;
  promise->forgiven = tally_->forgiven();
  promise->axis = 0;
  if (at_once) {
    TakeUnits(promise->units);
    promise->end = schedule_ != nullptr ? schedule_->SpentByNow() : *spent_;
    Stamp(*promise);
    return;
  }
  promise->end = schedule_->EarliestFor(promise->units, axis_->Position(ready_at));
  promise->made_at = at_;
  schedule_->Add(promise);
  if (schedule_->IsQueue()) Stamp(*promise);
}

// That it can be given back from now on.
void BucketCore::Stamp(Promise& promise) const {
  promise.returned = tally_->returned();
  promise.axis = tally_->axis();
}

bool BucketCore::Lift(Promise& promise) {
  if (promise.pending) {
    schedule_->Lift(promise);
    promise.forgiven = tally_->forgiven();
    return true;
  }
  return axis_->infinite() || promise.forgiven != tally_->forgiven();
}

void BucketCore::Return(std::int64_t units) {
  if (schedule_ != nullptr) {
    schedule_->Return(units);
  } else {
    *spent_ = std::max(SpentWith(-units), at_ - axis_->burst_units());
  }
}

// That they were given back; rounded up, so that no part of a token comes back twice.
void BucketCore::Count(std::int64_t units) {
  tally_->Return(units / grain_ + (units % grain_ == 0 ? 0 : 1));
}

// What was forgiven, or was to be acted on before now, has nothing to give back.
bool BucketCore::Cancel(Promise& promise, TimePoint ready_at) {
  if (promise.cancelled) return false;
  if (promise.pending) {
    schedule_->Cancel(promise);
  } else if (promise.forgiven == tally_->forgiven() && ready_at >= now_ &&
             axis_->Position(ready_at) >= at_) {
    Return(axis_->Units(promise.tokens));
  } else {
    return false;
  }
  promise.cancelled = true;
  Count(axis_->Units(promise.tokens));
  return true;
}

// What the bucket would have now if the tokens had not been taken is not known: it may have been
// full since, and what came then is lost. If all that was taken or given back since counts against
// it, it would have at most what there is room for: `end` + burst is the position at which it would
// have been full again if nobody had come. So who gives back at once gives back all, and so does
// whoever took from a bucket that has been short of tokens.
bool BucketCore::TakeBack(Promise& promise) {
  if (promise.cancelled || axis_->infinite()) return false;
  std::int64_t units = axis_->Units(promise.tokens);
  if (promise.pending) {
    schedule_->Cancel(promise);
  } else if (promise.forgiven == tally_->forgiven() && promise.axis == tally_->axis()) {
    const Int128 since = Int128{tally_->returned() - promise.returned} * grain_;
    const Int128 most = Int128{promise.end} + axis_->burst_units() - at_ - since;
    units = static_cast<std::int64_t>(std::clamp<Int128>(most, 0, units));
    Return(units);
  } else {
    return false;
  }
  promise.cancelled = true;
  Count(units);
  MoveUp();
  return true;
}

void BucketCore::Charge(std::int64_t n) {
  if (axis_->infinite()) return;
  TakeUnits(std::min(axis_->Units(n), Balance() + kMaxDebtUnits));
}

void BucketCore::Refund(std::int64_t n) {
  if (axis_->infinite()) return;
  Return(axis_->Units(n));
  Count(axis_->Units(n));
}

// Gives each waiting call the earliest time that there is for it now.
void BucketCore::MoveUp() {
  if (schedule_ == nullptr || !schedule_->AnyMoves()) return;
  schedule_->MoveUp();
  const bool queue = schedule_->IsQueue();
  schedule_->ForEach([&](Promise& promise) {
    if (!promise.moves) return;
    Stamp(promise);
    if (!queue) promise.axis = 0;
    promise.BringForward(axis_->ReadyAt(promise.end - axis_->Position(now_), now_));
  });
}

// Drops what no longer counts on the next axis. A waiting call may go at once where the rate is
// infinite, and takes its tokens from a bucket that is filled anew.
void BucketCore::ForgetFor(const TokenAxis& next, bool reset) {
  if (axis_->infinite() || next.infinite()) {
    schedule_->ForEach([this](Promise& promise) { promise.BringForward(now_); });
    schedule_->Forget();
  } else if (reset) {
    schedule_->ForgetFixed();
    schedule_->ForEach([this](Promise& promise) { promise.forgiven = tally_->forgiven(); });
  }
}

void BucketCore::MoveTo(const TokenAxis& to, TokenCarryOver carry_over) {
  const std::int64_t kept = CarriedOver(Balance(), *axis_, to, carry_over);
  if (schedule_ == nullptr) {
    *spent_ = to.Position(now_) - kept;
    return;
  }
  const bool reset = carry_over == TokenCarryOver::kReset;
  ForgetFor(to, reset);
  schedule_->Rescale(to.burst_units(), kept, axis_->units_per_token, to.units_per_token);
  if (reset) schedule_->Fill();
  axis_ = &to;
  at_ = schedule_->at();
  MoveUp();
  schedule_->ForEach([](const Promise& promise) {
    if (!promise.moves && promise.waker != nullptr) promise.waker->Wake();
  });
}

}  // namespace holdfast::internal
