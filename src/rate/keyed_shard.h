// A part of the keys of a KeyedTokenBucket, under one mutex.
//
// Model. A key is 32 bytes (KeyState): its fingerprint, the number of its axis, and `spent`, the
// position on that axis up to which everything is taken, as in a TokenBucket. Keys with the same
// limits share one axis (Intern), so a key needs no rate or burst of its own. While a call waits
// for a key, a TokenSchedule beside the table has its promises, as a TokenBucket's has while it is
// held; when the last promise is kept the schedule is dropped, and `spent` says everything again
// (ScheduleOf).
//
// Time. now_ is the latest time that Observe was told, and never falls. All decisions are made at
// now_, so a caller with an older time gets nothing twice. An axis ends after its horizon
// (BeginAnew): then all keys on it are converted to one that begins at now_.
//
// Limits. Without a function all keys are on default_axis_. SetLimits with limits converts every
// key at once. SetLimits with a function marks the axes as outdated; each key then moves when it is
// next used and its limits were asked for (Settled, Settle), which must happen without the mutex,
// since the function is the user's.
//
// Forgetting. A key is forgotten only when its bucket is full and nobody waits for it, so that a
// key that comes back starts full and cannot tell. The IdleQueue knows for each key a time before
// which it is not full. A use makes a key full later, which the queue finds out when it looks; what
// makes it full earlier (a cancellation, a refund, new limits) must call Enqueue.
//
// Invariants, whenever the mutex is free:
//   - every key of the table is in the IdleQueue once, under a time not after FullAt(key);
//   - axes_[n].keys is the number of keys on it, and one more for default_axis_; an axis with none
//     is in free_axes_, and only axes that are not outdated are in axis_of_;
//   - keys_[k].waiting is kNone, and `spent` says everything, or it is the number of a schedule in
//     waiting_ that names k;
//   - tally_ is of all keys: a promise that was made at other counts has nothing, or less, to give
//     back.
//
// Memory orders. The mutex orders everything but two hints that are read without it, both relaxed:
// earliest(), after which the reader takes the mutex or refuses a request that might as well have
// come earlier; and the address that Prefetch computes, which is never read through.
#ifndef HOLDFAST_SRC_RATE_KEYED_SHARD_H_
#define HOLDFAST_SRC_RATE_KEYED_SHARD_H_

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "holdfast/rate/keyed_token_bucket.h"
#include "src/rate/bucket_core.h"
#include "src/rate/idle_queue.h"
#include "src/rate/keyed_table.h"
#include "src/rate/token_axis.h"
#include "src/rate/token_schedule.h"

namespace holdfast::internal {

// All is used with the mutex held but earliest(), Prefetch and TryAllow. Keys are named by the
// numbers that Find and Insert give. Time is the latest that Observe was told.
//
// A bucket is one number on its axis, as a TokenBucket's is; and a TokenSchedule as long as anybody
// waits, as a TokenBucket's is while somebody holds it.
class alignas(64) KeyedShard {
 public:
  using Limits = KeyedTokenBucket::Limits;
  using LimitsFor = std::shared_ptr<const KeyedTokenBucket::LimitsFor>;

  static constexpr std::size_t kFewBytes = 512;  // that it allocates besides

  KeyedShard() = default;
  KeyedShard(const KeyedShard&) = delete;
  KeyedShard& operator=(const KeyedShard&) = delete;

  // Before all else. Shards that share `growing` allocate tables one at a time.
  void Begin(std::int64_t max_keys, std::mutex* growing, const Limits& limits,
             const LimitsFor& limits_for);

  std::mutex mutex;

  // No key is idle before it.
  TimePoint earliest() const { return idle_.earliest(); }

  // Has the memory look for a key.
  void Prefetch(std::uint64_t fingerprint) const { keys_.Prefetch(fingerprint); }

  // The usual cases of Allow, for a key that is in use; none where more must be done. Takes the
  // mutex by itself.
  std::optional<bool> TryAllow(std::uint64_t fingerprint, TimePoint now, std::int64_t n);

  // TimePoint::max() is left to mean never.
  static constexpr TimePoint kLast = TimePoint::max() - Duration(1);
  void Observe(TimePoint now) { now_ = std::max(now_, std::min(now, kLast)); }
  TimePoint now() const { return now_; }
  std::uint32_t Find(std::uint64_t fingerprint) const { return keys_.Find(fingerprint); }

  // Where limits come from, and how often that was changed.
  const Limits& limits() const { return limits_; }
  const LimitsFor& limits_for() const { return limits_for_; }
  std::uint64_t settings() const { return settings_; }

  // Adds a key, with a full bucket. It must be given to Enqueue before the mutex is let go, or else
  // erased.
  std::uint32_t Insert(std::uint64_t fingerprint, const Limits& limits);
  void Erase(std::uint32_t key);
  // Says that a key may be full earlier than it seemed, or is new.
  void Enqueue(std::uint32_t key);
  // Forgets a key whose bucket is full; false if there is none.
  bool Evict();

  // False for a key whose limits are to be asked for, and then given to Settle.
  bool Settled(std::uint32_t key) const { return !axes_[keys_[key].limits].outdated; }
  void Settle(std::uint32_t key, const Limits& limits);
  // For all keys. Returns how many were forgotten.
  std::size_t SetLimits(const Limits& limits, TokenCarryOver carry_over);
  std::size_t SetLimits(const LimitsFor& limits_for, TokenCarryOver carry_over);

  // As TokenBucket's.
  bool Allow(std::uint32_t key, std::int64_t n);
  void Charge(std::uint32_t key, std::int64_t n) { Core(key).Charge(n); }
  void Refund(std::uint32_t key, std::int64_t n);
  void Cancel(std::uint32_t key, Promise& promise);  // of Take's
  double Tokens(std::uint32_t key, TimePoint now) const;
  bool Impossible(std::uint32_t key, std::int64_t n) const {
    return axes_[keys_[key].limits].axis.Impossible(n);
  }

  // When `n` tokens come; TimePoint::max() for never. And takes them then, which can be cancelled;
  // or now, if that is when they come, which can't.
  TimePoint EarliestFor(std::uint32_t key, std::int64_t n) { return EarliestFor(key, n, now_); }
  TimePoint EarliestFor(std::uint32_t key, std::int64_t n, TimePoint from) {
    KeyState& state = keys_[key];
    const TokenAxis& axis = Present(state.limits);
    if (axis.Impossible(n)) return TimePoint::max();  // a lifted promise's schedule stays as it is
    return CoreOn(state, axis).EarliestFor(n, std::max(from, now_));
  }
  // Of a call that waits for this bucket alone, the promise moves.
  std::shared_ptr<Promise> Take(std::uint32_t key, std::int64_t n, TimePoint ready_at, bool moves);
  void TakeNow(std::uint32_t key, std::int64_t n) { Core(key).Take(n); }

  // As TokenHold's.
  void TakeBack(std::uint32_t key, Promise& promise);
  bool Lift(std::uint32_t key, Promise& promise) { return Core(key).Lift(promise); }
  void Put(std::uint32_t key, const std::shared_ptr<Promise>& promise,
           std::optional<TimePoint> ready_at);

 private:
  // The axis on which the tokens of keys with the same limits are counted: a line of a cache.
  struct alignas(64) Axis {
    TokenAxis axis;
    std::uint32_t keys;  // that have it; 0: free
    bool outdated;       // the function that gave the limits was replaced
  };
  static_assert(sizeof(Axis) == 64);
  // Of a key for which somebody waits.
  struct Waiting {
    TokenSchedule schedule;
    std::uint32_t key;
  };

  std::uint32_t Intern(const Limits& limits);
  std::uint32_t NewAxis(const Limits& limits);
  void Leave(std::uint32_t number);
  // An axis that may be used at now_.
  const TokenAxis& Present(std::uint32_t number) {
    if (axes_[number].axis.Ends(now_)) BeginAnew(number);
    return axes_[number].axis;
  }
  void BeginAnew(std::uint32_t number);
  void Convert(KeyState& state, const TokenAxis& from, const TokenAxis& to,
               TokenCarryOver carry_over);
  void Move(KeyState& state, std::uint32_t number, TokenCarryOver carry_over);
  std::size_t ForgetIdle();
  bool AnyMoves(std::uint32_t key) const;

  BucketCore CoreOn(KeyState& state, const TokenAxis& axis) {
    return {axis,        now_, tally_, BucketCore::Counted::kTokens, ScheduleOf(state, axis),
            &state.spent};
  }
  BucketCore Core(std::uint32_t key) {
    KeyState& state = keys_[key];
    return CoreOn(state, Present(state.limits));
  }
  TimePoint FullAt(std::uint32_t key);
  void Keep(std::uint32_t key, const std::shared_ptr<Promise>& promise, TimePoint ready_at);

  TokenSchedule* ScheduleOf(KeyState& state, const TokenAxis& axis);
  TokenSchedule& BeginWaiting(KeyState& state, std::uint32_t key, const TokenAxis& axis);
  void StopWaiting(KeyState& state);
  void LookAtWaiting();

  // What each decision reads, in two lines with the mutex.
  TimePoint now_ = TimePoint::min();
  std::vector<Axis> axes_;
  KeyTable keys_;

  std::vector<Limits> limits_of_;         // the axes
  std::vector<std::uint32_t> free_axes_;  // with room for all
  absl::flat_hash_map<std::pair<double, std::int64_t>, std::uint32_t> axis_of_;  // not outdated
  std::uint32_t default_axis_ = kNone;  // of limits_, while there is no function; held as by a key
  IdleQueue idle_;

  std::vector<std::unique_ptr<Waiting>> waiting_;
  std::size_t look_at_ = 0;  // the next of waiting_

  Limits limits_;
  LimitsFor limits_for_;  // null: limits_
  TokenCarryOver carry_over_ = TokenCarryOver::kAsIs;
  std::uint64_t settings_ = 0;
  BucketTally tally_;  // of all keys
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_KEYED_SHARD_H_
