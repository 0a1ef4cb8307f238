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

// When the key's bucket will be full, if it isn't used; TimePoint::min() where it is. While anybody
// waits it is not, and what is said is only that it won't be before.
TimePoint KeyedShard::FullAt(std::uint32_t key) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return SaturatingAdd(axis.begin, nanoseconds(1));
  const std::int64_t missing = axis.burst_units() - CoreOn(state, axis).Balance();
  if (missing <= 0) {
    return state.waiting == kNone ? TimePoint::min() : SaturatingAdd(now_, nanoseconds(1));
  }
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

TokenSchedule& KeyedShard::BeginWaiting(KeyState& state, std::uint32_t key, const TokenAxis& axis) {
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

// The same arithmetic as BucketCore's, without what only other cases need.
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
  BucketCore bucket = Core(key);
  if (bucket.EarliestFor(n, now_) > now_) return false;
  bucket.Take(n);
  return true;
}

std::shared_ptr<Promise> KeyedShard::Take(std::uint32_t key, std::int64_t n, TimePoint ready_at,
                                          bool moves) {
  if (n == 0 || Present(keys_[key].limits).infinite()) return nullptr;
  auto promise = NewPromise(n, tally_.forgiven());
  promise->state.store(Promise::State::kMade, std::memory_order_relaxed);
  promise->key = keys_[key].fingerprint;
  promise->moves = moves;
  Keep(key, promise, ready_at);
  return promise;
}

void KeyedShard::Keep(std::uint32_t key, const std::shared_ptr<Promise>& promise,
                      TimePoint ready_at) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (ready_at <= now_) return CoreOn(state, axis).Keep(promise, ready_at, /*at_once=*/true);
  LookAtWaiting();
  BucketCore(axis, now_, tally_, BucketCore::Counted::kTokens, &BeginWaiting(state, key, axis),
             &state.spent)
      .Keep(promise, ready_at, /*at_once=*/false);
}

// A key that came back after it was forgotten may be on a newer axis, or on the same: then its
// bucket had been full, hence no room is left by what was spent up to `end`.
void KeyedShard::TakeBack(std::uint32_t key, Promise& promise) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (!promise.pending && promise.ready_at < axis.begin) return;
  if (CoreOn(state, axis).TakeBack(promise)) Enqueue(key);
}

void KeyedShard::Put(std::uint32_t key, const std::shared_ptr<Promise>& promise,
                     std::optional<TimePoint> ready_at) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return;
  // It has nothing to give back, should there be no memory for what follows.
  promise->cancelled = true;
  if (ready_at) {
    Keep(key, promise, *ready_at);
  } else if (promise->forgiven == tally_.forgiven()) {
    BeginWaiting(state, key, axis).Add(promise);
  }
  promise->cancelled = false;
}

void KeyedShard::Cancel(std::uint32_t key, Promise& promise) {
  if (Core(key).Cancel(promise, promise.ready_at)) Enqueue(key);
}

void KeyedShard::Refund(std::uint32_t key, std::int64_t n) {
  KeyState& state = keys_[key];
  const TokenAxis& axis = Present(state.limits);
  if (axis.infinite()) return;
  CoreOn(state, axis).Refund(n);
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
