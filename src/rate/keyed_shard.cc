#include "src/rate/keyed_shard.h"

#include <algorithm>

#include "src/rate/promise_list.h"

namespace holdfast::internal {
namespace {

using std::chrono::nanoseconds;

constexpr int kLooksAtWaiting = 2;

}  // namespace

void KeyedShard::Begin(std::int64_t max_keys, std::mutex* growing, const Limits& limits,
                       const LimitsFor& limits_for) {
  keys_.Begin(max_keys, growing);
  limits_ = limits;
  limits_for_ = limits_for;
}

std::uint32_t KeyedShard::Insert(std::uint64_t fingerprint, const Limits& limits) {
  const std::uint32_t number = Intern(limits);
  const std::uint32_t key = keys_.Insert(fingerprint);
  const TokenAxis& axis = Present(number);
  ++axes_[number].keys;
  keys_[key].limits = number;
  keys_[key].spent = axis.Position(now_) - axis.burst_units();
  return key;
}

void KeyedShard::Erase(std::uint32_t key) {
  if (keys_[key].waiting != kNone) StopWaiting(keys_[key]);
  Leave(keys_[key].limits);
  keys_.Erase(key);
}

void KeyedShard::Enqueue(std::uint32_t key) {
  if (keys_[key].previous != kNone) idle_.Remove(keys_, key);
  idle_.Push(keys_, key, FullAt(key));
}

bool KeyedShard::Evict() {
  const std::uint32_t key = idle_.Pop(keys_, now_, [this](std::uint32_t k) { return FullAt(k); });
  if (key == kNone) return false;
  Erase(key);
  return true;
}

// At now_.
std::int64_t KeyedShard::Balance(const KeyState& state, const TokenAxis& axis) const {
  const std::int64_t full = axis.burst_units();
  if (axis.infinite() && now_ > axis.begin) return full;
  return std::min(axis.Position(now_) - state.spent, full);
}

// When the key's bucket will be full, if it isn't used; TimePoint::min() where it is. While anybody
// waits it is not, and what is said is only that it won't be before.
TimePoint KeyedShard::FullAt(std::uint32_t key) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return SaturatingAdd(axis.begin, nanoseconds(1));
  const TokenSchedule* const schedule = ScheduleOf(state, axis);
  const std::int64_t balance = schedule != nullptr ? schedule->balance() : Balance(state, axis);
  const std::int64_t missing = axis.burst_units() - balance;
  if (missing <= 0)
    return schedule == nullptr ? TimePoint::min() : SaturatingAdd(now_, nanoseconds(1));
  const Duration wait = axis.TimeFor(missing, now_);
  if (wait == Duration::max()) return TimePoint::max();
  const TimePoint at = SaturatingAdd(now_, wait);
  const bool truncated = axis.Position(at) - axis.Position(now_) < missing;
  return truncated ? SaturatingAdd(at, nanoseconds(1)) : at;
}

// Null once nobody waits any more: then `spent` says it all.
TokenSchedule* KeyedShard::ScheduleOf(KeyState& state, const TokenAxis& axis) {
  if (state.waiting == kNone) return nullptr;
  TokenSchedule& schedule = waiting_[state.waiting]->schedule;
  schedule.Advance(axis.Position(now_));
  if (!schedule.empty()) return &schedule;
  state.spent = schedule.Spent();
  StopWaiting(state);
  return nullptr;
}

TokenSchedule& KeyedShard::BeginWaiting(std::uint32_t key, const TokenAxis& axis) {
  KeyState& state = keys_[key];
  if (state.waiting == kNone) {
    waiting_.push_back(std::make_unique<Waiting>());
    waiting_.back()->key = key;
    waiting_.back()->schedule.Begin(axis.burst_units(), axis.Position(now_), state.spent);
    state.waiting = static_cast<std::uint32_t>(waiting_.size() - 1);
  }
  return waiting_[state.waiting]->schedule;
}

void KeyedShard::StopWaiting(KeyState& state) {
  const std::uint32_t number = std::exchange(state.waiting, kNone);
  waiting_[number].swap(waiting_.back());
  if (number + 1 != waiting_.size()) keys_[waiting_[number]->key].waiting = number;
  waiting_.pop_back();
}

// So that what nobody waits for any more doesn't stay.
void KeyedShard::LookAtWaiting() {
  for (int looks = 0; looks < kLooksAtWaiting && !waiting_.empty(); ++looks) {
    if (look_at_ >= waiting_.size()) look_at_ = 0;
    KeyState& state = keys_[waiting_[look_at_]->key];
    if (ScheduleOf(state, Present(state.limits)) != nullptr) ++look_at_;
  }
}

// What the position up to which all is spent becomes.
std::int64_t KeyedShard::SpentWith(const KeyState& state, const TokenAxis& axis,
                                   std::int64_t units) const {
  return std::max(state.spent, axis.Position(now_) - axis.burst_units()) + units;
}

bool KeyedShard::Impossible(std::uint32_t key, std::int64_t n) const {
  const TokenAxis& axis = axes_[keys_[key].limits].axis;
  return n < 0 || (n > axis.burst && !axis.infinite());
}

TimePoint KeyedShard::EarliestFor(std::uint32_t key, std::int64_t n, TimePoint from) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (Impossible(key, n)) return TimePoint::max();
  from = std::max(from, now_);
  if (axis.infinite()) return from;
  const std::int64_t units = n * axis.units_per_token;
  const std::int64_t begin = axis.Position(from);
  std::int64_t position = 0;
  if (TokenSchedule* const schedule = ScheduleOf(state, axis)) {
    if (units > schedule->balance() + kMaxDebtUnits) return TimePoint::max();
    position = schedule->EarliestFor(units, begin);
  } else {
    position = SpentWith(state, axis, units);
  }
  const std::int64_t missing = position - begin;
  return missing > kMaxDebtUnits ? TimePoint::max() : axis.ReadyAt(missing, from);
}

void KeyedShard::TakeNow(std::uint32_t key, std::int64_t n) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return;
  if (TokenSchedule* const schedule = ScheduleOf(state, axis)) {
    schedule->Take(n * axis.units_per_token);
  } else {
    state.spent = SpentWith(state, axis, n * axis.units_per_token);
  }
}

// The same arithmetic as EarliestFor's and TakeNow's, without what only other cases need.
std::optional<bool> KeyedShard::TryAllow(std::uint64_t fingerprint, TimePoint now, std::int64_t n) {
  const std::lock_guard lock(mutex);
  Observe(now);
  const std::uint32_t key = keys_.Find(fingerprint);
  if (key == kNone) return std::nullopt;
  KeyState& state = keys_[key];
  const Axis& of_key = axes_[state.limits];
  const TokenAxis& axis = of_key.axis;
  if (state.waiting != kNone || of_key.outdated || axis.infinite() || axis.Ends(now_) || n < 0 ||
      n > axis.burst) {
    return std::nullopt;
  }
  // Without a fraction, what doesn't end fits 64 bits.
  const auto elapsed = static_cast<std::uint64_t>((now_ - axis.begin).count());
  const std::int64_t position =
      axis.shift == 0 ? static_cast<std::int64_t>(axis.multiplier * elapsed) : axis.Position(now_);
  const std::int64_t full = position - axis.burst_units();
  const std::int64_t spent = std::max(state.spent, full) + n * axis.units_per_token;
  if (spent <= position) {
    state.spent = spent;
    return true;
  }
  if (spent - position > axis.Early()) return false;
  return std::nullopt;
}

bool KeyedShard::Allow(std::uint32_t key, std::int64_t n) {
  if (EarliestFor(key, n) > now_) return false;
  TakeNow(key, n);
  return true;
}

std::shared_ptr<Promise> KeyedShard::Take(std::uint32_t key, std::int64_t n, TimePoint ready_at,
                                          bool moves) {
  const TokenAxis& axis = Present(keys_[key].limits);
  if (n == 0 || axis.infinite()) return nullptr;
  auto promise = NewPromise(n, forgiven_);
  promise->state.store(Promise::State::kMade, std::memory_order_relaxed);
  promise->key = keys_[key].fingerprint;
  promise->moves = moves;
  TakeFor(key, promise, ready_at);
  return promise;
}

void KeyedShard::TakeFor(std::uint32_t key, const std::shared_ptr<Promise>& promise,
                         TimePoint ready_at) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  promise->units = promise->tokens * axis.units_per_token;
  promise->ready_at = ready_at;
  promise->forgiven = forgiven_;
  if (ready_at <= now_) {
    TakeNow(key, promise->tokens);
    const TokenSchedule* const schedule = ScheduleOf(state, axis);
    promise->end = schedule == nullptr ? state.spent : schedule->SpentByNow();
    Stamp(*promise);
  } else {
    LookAtWaiting();
    TokenSchedule& schedule = BeginWaiting(key, axis);
    promise->end = schedule.EarliestFor(promise->units, axis.Position(ready_at));
    promise->made_at = schedule.at();
    promise->axis = 0;
    schedule.Add(promise);
    if (schedule.IsQueue()) Stamp(*promise);
  }
}

void KeyedShard::Stamp(Promise& promise) const {
  promise.returned = returned_;
  promise.axis = axis_number_;
}

// On `axis`, where the schedule is at now_.
void KeyedShard::MoveUp(TokenSchedule& schedule, const TokenAxis& axis) const {
  if (!schedule.AnyMoves()) return;
  schedule.MoveUp();
  const bool queue = schedule.IsQueue();
  schedule.ForEach([&](Promise& promise) {
    if (!promise.moves) return;
    Stamp(promise);
    if (!queue) promise.axis = 0;
    promise.BringForward(axis.ReadyAt(promise.end - axis.Position(now_), now_));
  });
}

// A key that came back after it was forgotten may be on a newer axis, or on the same: then its
// bucket had been full, hence no room is left by what was spent up to `end`.
void KeyedShard::TakeBack(std::uint32_t key, Promise& promise) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (promise.cancelled || promise.forgiven != forgiven_ || axis.infinite()) return;
  TokenSchedule* const schedule = ScheduleOf(state, axis);
  if (promise.pending) {
    schedule->Cancel(promise);
  } else if (promise.axis == axis_number_ && promise.ready_at >= axis.begin) {
    const Int128 since = Int128{returned_ - promise.returned} * axis.units_per_token;
    const Int128 most = Int128{promise.end} + axis.burst_units() - axis.Position(now_) - since;
    Return(state, axis,
           static_cast<std::int64_t>(std::clamp<Int128>(most, 0, axis.Units(promise.tokens))));
  } else {
    return;
  }
  promise.cancelled = true;
  returned_ += static_cast<std::uint64_t>(promise.tokens);
  if (schedule != nullptr) MoveUp(*schedule, axis);
  Enqueue(key);
}

bool KeyedShard::Lift(std::uint32_t key, Promise& promise) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  TokenSchedule* const schedule = ScheduleOf(state, axis);
  if (promise.pending) {
    schedule->Lift(promise);
    return true;
  }
  return axis.infinite() || promise.forgiven != forgiven_;
}

void KeyedShard::Put(std::uint32_t key, const std::shared_ptr<Promise>& promise,
                     std::optional<TimePoint> ready_at) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return;
  promise->cancelled =
      true;  // it has nothing to give back, should there be no memory for what follows
  if (ready_at) {
    TakeFor(key, promise, *ready_at);
  } else if (promise->forgiven == forgiven_) {
    BeginWaiting(key, axis).Add(promise);
  }
  promise->cancelled = false;
}

// What is kept already, in units, is given back as long as its time has not passed.
void KeyedShard::Cancel(std::uint32_t key, Promise& promise) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  TokenSchedule* const schedule = ScheduleOf(state, axis);
  if (promise.cancelled) return;
  if (promise.pending) {
    schedule->Cancel(promise);
  } else if (now_ <= promise.ready_at && promise.forgiven == forgiven_) {
    Return(state, axis, axis.Units(promise.tokens));
  } else {
    return;
  }
  promise.cancelled = true;
  returned_ += static_cast<std::uint64_t>(promise.tokens);
  Enqueue(key);
}

void KeyedShard::Charge(std::uint32_t key, std::int64_t n) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return;
  if (TokenSchedule* const schedule = ScheduleOf(state, axis)) {
    schedule->Take(std::min(axis.Units(n), schedule->balance() + kMaxDebtUnits));
  } else {
    const std::int64_t most = Balance(state, axis) + kMaxDebtUnits;
    state.spent = SpentWith(state, axis, std::min(axis.Units(n), most));
  }
}

void KeyedShard::Return(KeyState& state, const TokenAxis& axis, std::int64_t units) {
  if (TokenSchedule* const schedule = ScheduleOf(state, axis)) {
    schedule->Return(units);
  } else {
    state.spent =
        std::max(SpentWith(state, axis, -units), axis.Position(now_) - axis.burst_units());
  }
}

void KeyedShard::Refund(std::uint32_t key, std::int64_t n) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return;
  Return(state, axis, axis.Units(n));
  returned_ += static_cast<std::uint64_t>(n);
  Enqueue(key);
}

double KeyedShard::Tokens(std::uint32_t key, TimePoint now) const {
  const KeyState& state = keys_[key];
  const TokenAxis& axis = axes_[state.limits].axis;
  const TimePoint time = std::max(now_, std::min(now, kLast));
  const std::int64_t position = axis.Position(time);
  std::int64_t balance = std::min(position - state.spent, axis.burst_units());
  if (axis.infinite() && time > axis.begin) balance = axis.burst_units();
  if (state.waiting != kNone) balance = waiting_[state.waiting]->schedule.BalanceAt(position);
  return static_cast<double>(balance) / static_cast<double>(axis.units_per_token);
}

}  // namespace holdfast::internal
