// How a TokenBucket decides with one atomic word.
//
// Model. Everything that the bucket ever gains lies on an axis (token_axis.h): Position(now) is how
// many fixed-point units it has gained by `now`, computed from absolute time with a 128-bit
// product, so that no error adds up. The state is one number on this axis, `spent`: the position up
// to which everything is taken. The balance is min(Position(now) - spent, burst); it is negative in
// debt. A request for n units moves `spent` to max(spent, Position(now) - burst) + n, and its owner
// may act when the axis gets there, which is at once if that is no later than Position(now).
//
// The word. `spent_` is 2 * spent on a circle: positions are compared by their differences modulo
// 2^63, which are unambiguous, since a burst is at most 2^58 units, a debt 2^59, and an axis is
// used for at most 2^61 (its horizon). The lowest bit, kHeld, is a lock.
//
// Two ways. Usually a call reads the word and the axis, decides, and replaces the word by a
// compare-and-swap (TryAllow, which leaves out all that Allow seldom needs; Read, Decide, Replace).
// What one number cannot say is done by a TokenHold: it locks the mutex, sets kHeld, and moves the
// promises made since then to a TokenSchedule. While the word is held no compare-and-swap succeeds,
// and a call that finds it held goes to the mutex as well. The word is let go when the schedule is
// a queue again, which one number describes. So cancellations, charges, refunds and new limits take
// the mutex; Allow, Reserve and Wait do only beside them.
//
// Epochs. What the axis means (multiplier_ to burst_) changes only while the word is held: for new
// limits, and where the horizon ends. The new epoch begins with a word beyond every word that was
// ever used (high_water_) and beyond what the burst can take back.
//
// Invariants:
//   1. A value of the word does not come again with other fields, except after the whole circle.
//   2. While the word is not held, the promises still to be kept are a queue that ends at `spent`.
//   3. A promise for later is in the PromiseList before the compare-and-swap that grants it. So
//      whoever holds the word finds every promise that was granted, and waits only for those whose
//      makers have yet to mark them.
//   4. reached_ and the promises prove that some time has passed, also to a caller that read the
//      clock long ago: nothing is granted twice for the same time.
//
// Memory orders.
//   - The fields of the axis are stored with release after kHeld was set, and loaded with acquire
//     after the word was. A thread that reads a field of a newer epoch therefore also sees the word
//     held or newer: its compare-and-swap, or Read's second look at the word, fails. A thread that
//     reads the first word of an epoch (stored with release, LetGo) sees all fields of that epoch.
//     Together: a compare-and-swap that succeeds proves, by invariant 1, that word and fields
//     belong together. Where a decision changes nothing, Replace reads the word again for the same
//     proof.
//   - The compare-and-swap is acq_rel. Release: a promise that was listed before is visible to
//     whoever holds the word afterwards (fetch_or, acq_rel). Acquire: what a thread does next comes
//     after the decision it builds on. A failure is relaxed: the word is read anew.
//   - The tally's `returned` and `axis` change while the word is held and are read, with acquire,
//     before it: so what is taken after the reading is later than all that they tell of. An older
//     value lets a refund give back less, never more. `forgiven` is relaxed for the same reason: a
//     promise with an older value has nothing to give back once it was kept.
//   - latest_ is a hint and relaxed: see Saw.
#include "holdfast/rate/token_bucket.h"

#include <absl/base/attributes.h>

#include <algorithm>

#include "holdfast/base/internal/validate.h"
#include "src/rate/bucket_limits.h"
#include "src/rate/collision.h"
#include "src/rate/in_time.h"
#include "src/rate/promise_list.h"
#include "src/rate/token_axis.h"
#include "src/rate/token_hold.h"
#include "src/rate/token_schedule.h"
#include "src/rate/token_wait.h"

namespace holdfast {
namespace {

using internal::Collision;
using internal::kInfiniteMultiplier;
using internal::kMaxDebtUnits;
using internal::Promise;
using internal::TokenAxis;
using internal::TokenHold;
using internal::TokenSchedule;
using internal::Uint128;

std::int64_t Distance(std::uint64_t from, std::uint64_t to) {
  return static_cast<std::int64_t>(to - from) >> 1;  // positions are doubled
}

}  // namespace

struct TokenBucket::Reading {
  std::uint64_t word;
  TokenAxis axis;
  std::int64_t spent;  // the word's position

  std::int64_t Available(TimePoint now) const {
    const std::int64_t full = axis.burst_units();
    if (axis.infinite() && now > axis.begin) return full;
    return std::min(axis.Position(now) - spent, full);
  }
};

struct TokenBucket::Decision {
  TimePoint ready_at;  // TimePoint::max(): never
  std::int64_t spent;  // once it is granted
};

struct TokenBucket::Mark {
  std::uint32_t forgiven;
  std::uint64_t returned;
  std::uint32_t axis;
};

TokenBucket::TokenBucket(Options options)
    : promises_(std::make_unique<internal::PromiseList>()),
      schedule_(std::make_unique<TokenSchedule>()),
      rate_(internal::Validated(options).rate),
      burst_(internal::BurstOf(options.rate, options.burst)),
      name_(options.name),
      clock_(options.clock),
      refusals_(internal::TokenRefusals("RateLimit", options.name)) {
  // The first epoch began so long ago that the bucket is full, whatever clock the first `now` is
  // of.
  SetAxis(internal::AxisFor(options.rate, burst(), TimePoint::min()), 0);
  known_spent_ = -ReadAxis().burst_units();
  high_water_ = Word(known_spent_);
  LetGo(known_spent_);
}

TokenBucket::~TokenBucket() = default;

std::uint64_t TokenBucket::Word(std::int64_t spent) const {
  return generated_.load(std::memory_order_acquire) + 2 * static_cast<std::uint64_t>(spent);
}

std::int64_t TokenBucket::Spent(std::uint64_t word) const {
  return Distance(generated_.load(std::memory_order_acquire), word);
}

TokenAxis TokenBucket::ReadAxis() const {
  return {.multiplier = multiplier_.load(std::memory_order_acquire),
          .shift = shift_.load(std::memory_order_acquire),
          .carry = carry_.load(std::memory_order_acquire),
          .begin = TimePoint(Duration(epoch_begin_.load(std::memory_order_acquire))),
          .horizon = Duration(horizon_.load(std::memory_order_acquire)),
          .units_per_token = units_per_token_.load(std::memory_order_acquire),
          .burst = burst_.load(std::memory_order_acquire)};
}

void TokenBucket::SetAxis(const TokenAxis& axis, std::uint64_t generated) {
  multiplier_.store(axis.multiplier, std::memory_order_release);
  shift_.store(axis.shift, std::memory_order_release);
  carry_.store(axis.carry, std::memory_order_release);
  epoch_begin_.store(axis.begin.time_since_epoch().count(), std::memory_order_release);
  generated_.store(generated, std::memory_order_release);
  units_per_token_.store(axis.units_per_token, std::memory_order_release);
  horizon_.store(axis.horizon.count(), std::memory_order_release);
  burst_.store(axis.burst, std::memory_order_release);
}

std::optional<TokenBucket::Reading> TokenBucket::Read() const {
  for (;;) {
    const std::uint64_t word = spent_.load(std::memory_order_acquire);
    if ((word & kHeld) != 0) return std::nullopt;
    const Reading reading{.word = word, .axis = ReadAxis(), .spent = Spent(word)};
    if (spent_.load(std::memory_order_acquire) == word) return reading;
  }
}

TokenBucket::Decision TokenBucket::Decide(const Reading& reading, TimePoint now, std::int64_t n) {
  const auto& [word, axis, spent] = reading;
  const Decision never{TimePoint::max(), spent};
  if (n < 0) return never;
  if (axis.infinite()) return {now, spent};
  if (n > axis.burst) return never;
  const std::int64_t position = axis.Position(now);
  const std::int64_t left =
      std::min(position - spent, axis.burst_units()) - n * axis.units_per_token;
  if (left < -kMaxDebtUnits) return never;
  return {axis.ReadyAt(-left, now), position - left};
}

// The same arithmetic as Decide's, without the division that only the length of a wait needs. The
// fields may be of two epochs: then it comes to nonsense, without overflow, and the word tells.
std::optional<bool> TokenBucket::TryAllow(TimePoint now, std::int64_t n, bool counts) {
  std::uint64_t word = spent_.load(std::memory_order_acquire);
  const std::uint64_t multiplier = multiplier_.load(std::memory_order_acquire);
  const TimePoint::rep now_count = now.time_since_epoch().count();
  const TimePoint::rep begin = epoch_begin_.load(std::memory_order_acquire);
  const auto elapsed = static_cast<std::uint64_t>(now_count) - static_cast<std::uint64_t>(begin);
  const std::int64_t burst = burst_.load(std::memory_order_acquire);
  const auto horizon = static_cast<std::uint64_t>(horizon_.load(std::memory_order_acquire));
  if ((word & kHeld) != 0 || multiplier == kInfiniteMultiplier || now_count < begin ||
      elapsed > horizon || n < 0 || n > burst) {
    return std::nullopt;
  }
  const auto units = static_cast<std::uint64_t>(units_per_token_.load(std::memory_order_acquire));
  const int shift = shift_.load(std::memory_order_acquire);
  std::uint64_t position = multiplier * elapsed;  // within the horizon no more than 64 bits
  std::uint64_t fraction = 0;
  if (shift != 0) {  // no whole rate
    const Uint128 refill = Uint128{multiplier} * elapsed + carry_.load(std::memory_order_acquire);
    position = static_cast<std::uint64_t>(refill >> shift);
    fraction = static_cast<std::uint64_t>(refill) & ((std::uint64_t{1} << shift) - 1);
  }
  const std::uint64_t generated = generated_.load(std::memory_order_acquire) + 2 * position;
  const auto full = static_cast<std::int64_t>(static_cast<std::uint64_t>(burst) * units);
  const std::uint64_t left = static_cast<std::uint64_t>(std::min(Distance(word, generated), full)) -
                             static_cast<std::uint64_t>(n) * units;
  if (static_cast<std::int64_t>(left) < 0) return TryRefuse(word, 0 - left, fraction, counts);
  if (!spent_.compare_exchange_strong(word, generated - 2 * left, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
    Collision().Yield();
    return std::nullopt;
  }
  Saw(now);
  return true;
}

// A wait of less than a nanosecond is none. Out of line, so that who admits saves no registers.
ABSL_ATTRIBUTE_NOINLINE std::optional<bool> TokenBucket::TryRefuse(std::uint64_t word,
                                                                   std::uint64_t lacking,
                                                                   std::uint64_t fraction,
                                                                   bool counts) const {
  const Uint128 missing = (Uint128{lacking} << shift_.load(std::memory_order_acquire)) - fraction;
  const bool waits = missing >= multiplier_.load(std::memory_order_acquire);
  if (!waits || spent_.load(std::memory_order_acquire) != word) return std::nullopt;
  if (counts) refusals_.Count(refusals_.exhausted);
  return false;
}

bool TokenBucket::AllowAt(TimePoint now, std::int64_t n) {
  if (const auto quickly = TryAllow(now, n, /*counts=*/true)) return *quickly;
  const bool allowed = TakeAtOnce(now, n);
  if (!allowed) refusals_.CountRefused(Impossible(n));
  return allowed;
}

bool TokenBucket::TakeAtOnce(TimePoint now, std::int64_t n) {
  Collision collision;
  for (; const auto reading = Read(); collision.Yield()) {
    if (reading->axis.Ends(now)) break;
    const Decision decision = Decide(*reading, now, n);
    const bool granted = decision.ready_at <= now;
    if (!Replace(*reading, granted ? decision.spent : reading->spent)) continue;
    if (granted) Saw(now);
    return granted;
  }
  return TokenHold(*this, now).Reserve(n, Duration::zero()).ok();
}

Reservation TokenBucket::ReserveAt(TimePoint now, std::int64_t n, TimeSpan max_wait) {
  Reservation reservation = Reserve(now, n, max_wait, internal::TakenFor::kReservation);
  if (!reservation.ok()) refusals_.CountRefused(Impossible(n));
  return reservation;
}

Reservation TokenBucket::Reserve(TimePoint now, std::int64_t n, Duration max_wait,
                                 internal::TakenFor whom) {
  const Mark mark = ReadMark();
  const bool refundable = whom == internal::TakenFor::kRefundableCall;
  if (!refundable && max_wait >= Duration::zero() && TryAllow(now, n) == true) {
    return Taken(now, n, mark);
  }
  {
    internal::Draft draft;
    Collision collision;
    for (; const auto reading = Read(); collision.Yield()) {
      if (reading->axis.Ends(now)) break;
      const Decision decision = Decide(*reading, now, n);
      const bool granted = internal::InTime(decision.ready_at, now, max_wait);
      const bool waits = granted && decision.ready_at > now && n > 0;
      if (waits) {
        if (!draft) draft.Begin(n, mark.forgiven);
        draft->units = n * reading->axis.units_per_token;
        draft->end = decision.spent;
        draft->made_at = reading->axis.Position(now);
        draft->moves = whom != internal::TakenFor::kReservation;
        draft->ready_at = decision.ready_at;
        draft->returned = mark.returned;
        draft->axis = mark.axis;
        if (draft->self == nullptr && promises_->Add(draft.pointer())) Prune(now);
      }
      if (!Replace(*reading, granted ? decision.spent : reading->spent)) continue;
      if (waits) return Reservation(this, draft.Finish(), decision.ready_at);
      if (!granted) return Reservation(nullptr, nullptr, decision.ready_at);
      if (n == 0 || reading->axis.infinite()) {
        return Reservation(this, nullptr, decision.ready_at);
      }
      Saw(now);
      return Taken(now, n, mark, decision.spent);
    }
  }  // what was listed is void before anybody waits for it under the mutex
  return TokenHold(*this, now).Reserve(n, max_wait, whom != internal::TakenFor::kReservation);
}

TokenBucket::Mark TokenBucket::ReadMark() const {
  return {.forgiven = tally_.forgiven(), .returned = tally_.returned(), .axis = tally_.axis()};
}

// Of tokens that are taken already, after which all was spent up to `spent`, if that is known.
// There may be no memory to say so: then they go back.
Reservation TokenBucket::Taken(TimePoint now, std::int64_t n, const Mark& mark,
                               std::optional<std::int64_t> spent) {
  if (n == 0) return Reservation(this, nullptr, now);
  try {
    auto promise = internal::NewPromise(n, mark.forgiven);
    promise->end = spent.value_or(0);
    promise->returned = mark.returned;
    promise->axis = spent ? mark.axis : 0;
    return Reservation(this, std::move(promise), now);
  } catch (...) {
    TokenHold(*this, now).Refund(n);
    throw;
  }
}

// Also where nothing changes: then it says whether the reading still holds.
bool TokenBucket::Replace(const Reading& reading, std::int64_t spent) {
  std::uint64_t word = reading.word;
  if (spent == reading.spent) return spent_.load(std::memory_order_acquire) == word;
  return spent_.compare_exchange_weak(word,
                                      word + 2 * static_cast<std::uint64_t>(spent - reading.spent),
                                      std::memory_order_acq_rel, std::memory_order_relaxed);
}

// Keeps no more promises than there are, for those who never cancel.
void TokenBucket::Prune(TimePoint now) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || (spent_.load(std::memory_order_acquire) & kHeld) != 0) return;
  promises_->MoveTo(*schedule_, /*wait=*/false);
  reached_ = std::max(reached_, ReadAxis().Position(now));
  schedule_->Drop(reached_);
}

// The word, if it was not held already.
std::optional<std::uint64_t> TokenBucket::Hold() {
  const std::uint64_t word = spent_.fetch_or(kHeld, std::memory_order_acq_rel);
  if ((word & kHeld) != 0) return std::nullopt;
  if (Distance(high_water_, word) > 0) high_water_ = word;
  promises_->MoveTo(*schedule_, /*wait=*/true);
  return word;
}

void TokenBucket::LetGo(std::int64_t spent) {
  const std::uint64_t word = Word(spent);
  if (Distance(high_water_, word) > 0) high_water_ = word;
  spent_.store(word, std::memory_order_release);
}

// Every word of the new epoch lies beyond what the burst can take back, hence beyond all before.
void TokenBucket::BeginEpoch(const TokenAxis& axis, double new_rate) {
  const auto burst = static_cast<std::uint64_t>(axis.burst_units());
  SetAxis(axis, high_water_ + 2 * (burst + 1));
  rate_.store(new_rate, std::memory_order_release);
  tally_.NextAxis();
}

double TokenBucket::TokensAt(TimePoint now) const {
  for (;;) {
    if (const auto reading = Read()) {
      return static_cast<double>(reading->Available(now)) /
             static_cast<double>(reading->axis.units_per_token);
    }
    const std::lock_guard lock(mutex_);
    if ((spent_.load(std::memory_order_acquire) & kHeld) == 0) continue;
    const TokenAxis axis = ReadAxis();
    return static_cast<double>(schedule_->BalanceAt(axis.Position(now))) /
           static_cast<double>(axis.units_per_token);
  }
}

absl::Status TokenBucket::Wait(std::int64_t n, const WaitOptions& options) {
  if (Impossible(n)) return refusals_.Count(refusals_.impossible);
  if (options.stop.stop_requested()) return refusals_.Count(refusals_.cancelled);
  const TimePoint now = Now();
  if (now <= options.deadline && (TryAllow(now, n) == true || TakeAtOnce(now, n))) {
    return absl::OkStatus();
  }
  Reservation reservation =
      Reserve(now, n, SaturatingSub(options.deadline, now), internal::TakenFor::kCall);
  if (!reservation.ok()) {
    const bool never = reservation.too_late_at() == TimePoint::max();
    return refusals_.Count(never ? refusals_.exhausted : refusals_.deadline);
  }
  if (reservation.ready_at() <= now) return absl::OkStatus();
  const bool slept = internal::TokenWait::Sleep(clock_.get(), reservation, options.stop, [] {});
  return slept ? absl::OkStatus() : refusals_.Count(refusals_.cancelled);
}

void TokenBucket::Cancel(Promise& promise, TimePoint ready_at, TimePoint now) {
  if (now <= ready_at) TokenHold(*this, now).Cancel(promise, ready_at);
}

TimePoint TokenBucket::Watch(Promise& promise, TimePoint ready_at, Waker* waker) {
  const std::lock_guard lock(mutex_);
  promise.waker = waker;
  return promise.moves ? promise.ready_at : ready_at;
}

void TokenBucket::TakeBack(Promise& promise, TimePoint now) {
  TokenHold(*this, now).TakeBack(promise);
}

}  // namespace holdfast
