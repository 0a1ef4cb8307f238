// A token bucket under its mutex: what a TokenBucket that is held and a key of a KeyedTokenBucket
// do alike.
//
// Model. The bucket is at a position of its axis (token_axis.h). While nobody waits for it, one
// number says everything: `spent`, the position up to which all is taken; so its balance is
// min(position - spent, burst). Else a TokenSchedule does, which is at the same position. A core is
// made for one decision, from what its owner keeps, and leaves its results there.
//
// Giving back. A promise that is still to be kept is taken out of the schedule. One that was kept
// may be given back as far as that is known to be no more than the bucket would have had without
// it: see TakeBack. The BucketTally tells what has happened to the bucket since a promise was made.
#ifndef HOLDFAST_SRC_RATE_BUCKET_CORE_H_
#define HOLDFAST_SRC_RATE_BUCKET_CORE_H_

#include <algorithm>
#include <cstdint>
#include <memory>

#include "holdfast/rate/internal/bucket_tally.h"
#include "holdfast/rate/token_bucket.h"
#include "src/rate/token_axis.h"
#include "src/rate/token_schedule.h"

namespace holdfast::internal {

class BucketCore {
 public:
  // What the tally counts returned tokens in.
  enum class Counted : signed char { kUnits, kTokens };

  // At `now`, to which the schedule has advanced. `schedule` null: `spent` says everything.
  BucketCore(const TokenAxis& axis, TimePoint now, BucketTally& tally, Counted counted,
             TokenSchedule* schedule, std::int64_t* spent)
      : axis_(&axis),
        now_(now),
        at_(schedule != nullptr ? schedule->at() : axis.Position(now)),
        tally_(&tally),
        grain_(counted == Counted::kUnits ? 1 : axis.units_per_token),
        schedule_(schedule),
        spent_(spent) {}

  // Units, less those promised.
  std::int64_t Balance() const {
    if (schedule_ != nullptr) return schedule_->balance();
    const std::int64_t full = axis_->burst_units();
    if (axis_->infinite() && now_ > axis_->begin) return full;
    return std::min(at_ - *spent_, full);
  }

  // When `n` tokens come, not before `from`, which is now or later; TimePoint::max() for never.
  TimePoint EarliestFor(std::int64_t n, TimePoint from) const {
    if (axis_->Impossible(n)) return TimePoint::max();
    if (axis_->infinite()) return from;
    const std::int64_t units = n * axis_->units_per_token;
    if (units > Balance() + kMaxDebtUnits) return TimePoint::max();
    const std::int64_t begin = axis_->Position(from);
    const std::int64_t position =
        schedule_ != nullptr ? schedule_->EarliestFor(units, begin) : SpentWith(units);
    if (position <= std::max(begin, at_)) return from;
    return axis_->ReadyAt(position - begin, from);
  }

  // At once; there may be debt after it.
  void TakeUnits(std::int64_t units) {
    if (schedule_ != nullptr) {
      schedule_->Take(units);
    } else {
      *spent_ = SpentWith(units);
    }
  }
  void Take(std::int64_t n) {
    if (!axis_->infinite()) TakeUnits(n * axis_->units_per_token);
  }
  // Takes the promise's tokens, at once or, with a schedule, at `ready_at`; not at an infinite
  // rate.
  void Keep(const std::shared_ptr<Promise>& promise, TimePoint ready_at, bool at_once);

  // For a promise that is to be decided anew: takes it out, if it is still to be kept. True: now it
  // holds no tokens, or it had been forgiven before. False: its time has come, and it holds them.
  bool Lift(Promise& promise);

  // As TokenBucket's. Cancel and TakeBack are false where there was nothing to give back.
  bool Cancel(Promise& promise, TimePoint ready_at);
  bool TakeBack(Promise& promise);
  void Charge(std::int64_t n);
  void Refund(std::int64_t n);

  // Goes on, with what there is now, on `to`; that one begins now if there is a schedule. Before it
  // the tally has another axis, and debt is forgiven if it is to be.
  void MoveTo(const TokenAxis& to, TokenCarryOver carry_over);

 private:
  // The position up to which all is spent with `units` more.
  std::int64_t SpentWith(std::int64_t units) const {
    return std::max(*spent_, at_ - axis_->burst_units()) + units;
  }
  void Return(std::int64_t units);
  void Count(std::int64_t units);
  void Stamp(Promise& promise) const;
  void MoveUp();
  void ForgetFor(const TokenAxis& next, bool reset);

  const TokenAxis* axis_;
  TimePoint now_;
  std::int64_t at_;
  BucketTally* tally_;
  std::int64_t grain_;  // units in what the tally counts
  TokenSchedule* schedule_;
  std::int64_t* spent_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_BUCKET_CORE_H_
