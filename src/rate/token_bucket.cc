#include "holdfast/rate/token_bucket.h"

#include <absl/base/attributes.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "holdfast/base/internal/validate.h"
#include "src/rate/collision.h"
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
using internal::ThrowIfNegative;
using internal::TokenAxis;
using internal::TokenHold;
using internal::TokenSchedule;
using internal::Uint128;

constexpr double kMaxRate = 1e18;

std::int64_t Distance(std::uint64_t from, std::uint64_t to) {
  return static_cast<std::int64_t>(to - from) >> 1;  // positions are doubled
}

}  // namespace

double Every(TimeSpan interval) {
  if (interval <= Duration::zero()) return kInfiniteRate;
  return 1 / std::chrono::duration<double>(interval).count();
}

absl::Status Validate(const TokenBucket::Options& options) {
  if (std::isnan(options.rate) || options.rate < 0 ||
      (options.rate > kMaxRate && options.rate != kInfiniteRate)) {
    return absl::InvalidArgumentError(
        absl::StrCat("TokenBucket ", options.name,
                     ": rate must be in [0, 1e18] or kInfiniteRate, not ", options.rate));
  }
  if (options.burst < 0 || options.burst > TokenBucket::kMaxBurst) {
    return absl::InvalidArgumentError(absl::StrCat(
        "TokenBucket ", options.name, ": burst must be in [0, 2^50], not ", options.burst));
  }
  return absl::OkStatus();
}

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
      rate_(options.rate),
      burst_(options.burst),
      name_(options.name),
      clock_(options.clock),
      refusals_(RejectionKind::kRateLimited, "RateLimit", options.name, "token") {
  internal::ThrowIfInvalid(Validate(options));
  // The first epoch began so long ago that the bucket is full, whatever clock the first `now` is
  // of.
  SetAxis(internal::AxisFor(options.rate, options.burst, TimePoint::min()), 0);
  axis_number_.store(1, std::memory_order_relaxed);
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
std::optional<bool> TokenBucket::TryAllow(TimePoint now, std::int64_t n) {
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
  if (static_cast<std::int64_t>(left) < 0) return TryRefuse(word, 0 - left, fraction);
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
                                                                   std::uint64_t fraction) const {
  const Uint128 missing = (Uint128{lacking} << shift_.load(std::memory_order_acquire)) - fraction;
  const bool waits = missing >= multiplier_.load(std::memory_order_acquire);
  if (!waits || spent_.load(std::memory_order_acquire) != word) return std::nullopt;
  return false;
}

bool TokenBucket::AllowAt(TimePoint now, std::int64_t n) {
  if (const auto quickly = TryAllow(now, n)) return *quickly;
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
  return Reserve(now, n, max_wait, internal::TakenFor::kReservation);
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
      const bool granted = decision.ready_at != TimePoint::max() &&
                           SaturatingSub(decision.ready_at, now) <= max_wait;
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
  return {.forgiven = forgiven(),
          .returned = returned_.load(std::memory_order_acquire),
          .axis = axis_number_.load(std::memory_order_acquire)};
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
    RefundAt(now, n);
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
  axis_number_.fetch_add(1, std::memory_order_acq_rel);
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
  if (n < 0 || (n > burst() && rate() != kInfiniteRate)) return refusals_.impossible;
  if (options.stop.stop_requested()) return refusals_.cancelled;
  const TimePoint now = Now();
  if (now <= options.deadline && AllowAt(now, n)) return absl::OkStatus();
  Reservation reservation =
      Reserve(now, n, SaturatingSub(options.deadline, now), internal::TakenFor::kCall);
  if (!reservation.ok()) {
    return reservation.too_late_at() == TimePoint::max() ? refusals_.exhausted : refusals_.deadline;
  }
  if (reservation.ready_at() <= now) return absl::OkStatus();
  const bool slept = internal::TokenWait::Sleep(clock_.get(), reservation, options.stop, [] {});
  return slept ? absl::OkStatus() : refusals_.cancelled;
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

void TokenBucket::ChargeAt(TimePoint now, std::int64_t n) {
  ThrowIfNegative(n);
  TokenHold(*this, now).Charge(n);
}

void TokenBucket::RefundAt(TimePoint now, std::int64_t n) {
  ThrowIfNegative(n);
  TokenHold(*this, now).Refund(n);
}

void TokenBucket::SetRateAt(TimePoint now, double rate) {
  internal::ThrowIfInvalid(Validate(Options{.rate = rate, .burst = 0, .name = name_}));
  TokenHold hold(*this, now);
  hold.Settle(rate, burst(), TokenCarryOver::kAsIs);
}

void TokenBucket::SetBurstAt(TimePoint now, std::int64_t burst) {
  internal::ThrowIfInvalid(Validate(Options{.rate = 0, .burst = burst, .name = name_}));
  TokenHold hold(*this, now);
  hold.Settle(rate(), burst, TokenCarryOver::kAsIs);
}

void TokenBucket::SetLimitsAt(TimePoint now, double rate, std::int64_t burst,
                              TokenCarryOver carry_over) {
  internal::ThrowIfInvalid(Validate(Options{.rate = rate, .burst = burst, .name = name_}));
  TokenHold hold(*this, now);
  hold.Settle(rate, burst, carry_over);
}

TokenBucket::Options TokenBucket::options() const {
  const std::lock_guard lock(mutex_);  // the two belong together
  return {.rate = rate(), .burst = burst(), .name = name_, .clock = clock_.given()};
}

absl::StatusOr<internal::Commit> TokenBucket::PrepareUpdate(Options options) {
  if (absl::Status status =
          internal::CheckSame("TokenBucket", name_, options.name, clock_.given(), options.clock);
      !status.ok()) {
    return status;
  }
  options.name = name_;
  if (absl::Status status = Validate(options); !status.ok()) return status;
  return [this, rate = options.rate, burst = options.burst] {
    TokenHold hold(*this, Now());
    if (rate != this->rate() || burst != this->burst()) {
      hold.Settle(rate, burst, TokenCarryOver::kAsIs);
    }
  };
}

Duration Reservation::Delay() const { return ok() ? DelayFrom(from_->Now()) : Duration::max(); }

Duration Reservation::DelayFrom(TimePoint now) const {
  return ok() ? std::max(SaturatingSub(ready_at_, now), Duration::zero()) : Duration::max();
}

void Reservation::Cancel() {
  if (promise_ != nullptr) CancelAt(from_->Now());
}

void Reservation::CancelAt(TimePoint now) {
  if (promise_ != nullptr) from_->Cancel(*promise_, ready_at_, now);
}

}  // namespace holdfast
