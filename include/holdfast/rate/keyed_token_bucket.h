// A KeyedTokenBucket is a TokenBucket for each key: a customer, an address, a path.
//
//   holdfast::KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 20}, .max_keys = 100'000});
//   if (buckets.Allow(customer)) serve(request);
//
// Most callers want KeyedRateLimit (keyed_rate_limit.h) in a stack.
#ifndef HOLDFAST_RATE_KEYED_TOKEN_BUCKET_H_
#define HOLDFAST_RATE_KEYED_TOKEN_BUCKET_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/time.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast {

namespace internal {
class HeldBucket;
class KeyedShard;
class KeySource;
}  // namespace internal

// Thread-safe. Each key has a bucket that begins full and decides as a TokenBucket does. At most
// `max_keys` are remembered, in max_keys * kBytesPerKey + kFewBytes, however long the keys are.
//
// A key is forgotten only to make room for another, and only when its bucket is full, with no
// promise outstanding: then it is as if it had never been used. So who cycles through keys gets no
// more for each than its bucket gives. There is room as long as any key is in that state: one is
// found, or that there is none, in constant time, amortised over all uses. No timers, no threads.
//
// A key is known by a hash of 64 bits, with secrets of this object's own, so that nobody can choose
// keys that collide. Those that do share a bucket: any of n keys with a probability of n^2 / 2^65,
// which for a million is one in thirty million.
//
// The keys are divided among up to 64 shards, each with a mutex that is held for some nanoseconds,
// or as long as its table takes to grow. A `now` older than one that a shard was given before, for
// any of its keys, counts as that one, and so mints nothing.
class KeyedTokenBucket final : internal::Promiser {
 public:
  struct Limits {
    double rate = 0;         // tokens per second, in [0, 1e9], or kInfiniteRate: admit all
    std::int64_t burst = 0;  // how many tokens a bucket holds, 0 to TokenBucket::kMaxBurst

    friend bool operator==(const Limits&, const Limits&) = default;
  };

  // The limits of a key, or of its class. Asked about a key that isn't remembered, or for which
  // there is no room: outside every lock, in several threads at once, maybe about the same key. It
  // may call back into the object. What it throws, and std::invalid_argument for limits that
  // Options would refuse, passes to the caller, and nothing has happened.
  using LimitsFor = std::function<Limits(std::string_view key)>;

  // What becomes of a key for which there is no room, with `max_keys` others in use.
  enum class WhenFull {
    // It is refused. Nothing passes that no limit holds; but who uses that many keys, each again
    // before its bucket is full, keeps new ones out. Keys in use notice nothing.
    kRefuse,
    // All such keys share one more bucket, with Options::limits. What passes is bounded all the
    // same; but of a flood of new keys each gets little, wanted or not.
    kShare,
    // It is admitted. No new key is ever turned away; but who always has another one is not limited
    // at all.
    kAdmit,
  };

  struct Options {
    Limits limits = {};         // of each key; if there is limits_for, of what keys share at most
    LimitsFor limits_for = {};  // null: `limits`
    std::int64_t max_keys = 100'000;  // 1 to 2^30
    WhenFull when_full = WhenFull::kRefuse;
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of the methods without At; must outlive the object
  };

  static constexpr std::size_t kBytesPerKey = 50;  // tables included, also while they grow
  static constexpr std::size_t kFewBytes = 400'000;
  // Beside that: for each kind of Limits among the keys of a shard, and each reservation that
  // waits.
  static constexpr std::size_t kBytesPerLimits = 384;
  static constexpr std::size_t kBytesPerPromise = 300;

  // Throws std::invalid_argument with the text of Validate.
  explicit KeyedTokenBucket(Options options);
  KeyedTokenBucket(const KeyedTokenBucket&) = delete;
  KeyedTokenBucket& operator=(const KeyedTokenBucket&) = delete;
  ~KeyedTokenBucket();

  // As TokenBucket's. A key that takes no tokens needs no room.
  bool Allow(std::string_view key, std::int64_t n = 1);
  bool AllowAt(TimePoint now, std::string_view key, std::int64_t n = 1);

  // As TokenBucket's. Refused for want of room, its too_late_at() is a time before which there will
  // be none, unless tokens are given back; TimePoint::max() if no key in use is ever full again.
  Reservation Reserve(std::string_view key, std::int64_t n = 1) { return ReserveAt(Now(), key, n); }
  Reservation ReserveAt(TimePoint now, std::string_view key, std::int64_t n = 1,
                        TimeSpan max_wait = Duration::max());

  // As TokenBucket's; kResourceExhausted also where there is no room for the key.
  absl::Status Wait(std::string_view key, std::int64_t n = 1, const WaitOptions& options = {});

  // As TokenBucket's. What is charged to a key for which there is no room is charged to the bucket
  // that such keys share, or else not remembered. A refund to a key that isn't in use is lost: its
  // bucket is full.
  void Charge(std::string_view key, std::int64_t n) { ChargeAt(Now(), key, n); }
  void ChargeAt(TimePoint now, std::string_view key, std::int64_t n);
  void Refund(std::string_view key, std::int64_t n) { RefundAt(Now(), key, n); }
  void RefundAt(TimePoint now, std::string_view key, std::int64_t n);

  // New limits for all keys. The buckets of those in use go on as TokenBucket::SetLimits says. With
  // Limits they do at once, and so does what keys share. A function is asked about a key when it is
  // next used, and until then the key keeps the limits that it has; of what is set meanwhile, the
  // last counts; a call that waits for a key asks at once. kReset fills all buckets at once in both
  // cases. They throw std::invalid_argument for what Options would refuse, and for a null function,
  // and may run beside any other call.
  void SetLimits(const Limits& limits, TokenCarryOver carry_over = TokenCarryOver::kAsIs) {
    SetLimitsAt(Now(), limits, carry_over);
  }
  void SetLimitsAt(TimePoint now, const Limits& limits,
                   TokenCarryOver carry_over = TokenCarryOver::kAsIs);
  void SetLimits(LimitsFor limits_for, TokenCarryOver carry_over = TokenCarryOver::kAsIs) {
    SetLimitsAt(Now(), std::move(limits_for), carry_over);
  }
  void SetLimitsAt(TimePoint now, LimitsFor limits_for,
                   TokenCarryOver carry_over = TokenCarryOver::kAsIs);

  // Replaces the options, all of them, while calls run: limits and function, for all keys, known
  // and new, as SetLimits does with TokenCarryOver::kAsIs; and when_full, from the next key on for
  // which there is no room. (What keys share is counted on while they don't.) A function is another
  // one than before unless it is that of options(). Name, clock and max_keys stay: name and clock,
  // left out, are as before, and others are refused; so is another max_keys, for which the tables
  // are made. kInvalidArgument, with nothing changed, for what Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // As TokenBucket's. A key that isn't in use has its burst.
  double Tokens(std::string_view key) const { return TokensAt(Now(), key); }
  double TokensAt(TimePoint now, std::string_view key) const;

  std::int64_t size() const { return size_.load(std::memory_order_relaxed); }  // keys remembered
  std::int64_t max_keys() const { return max_keys_; }
  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
    shared_->BindClock(binder, policy);
  }

 private:
  friend class internal::KeySource;

  class Room;
  class HeldKey;
  struct Request;
  struct Found;
  struct Answer {
    Reservation reservation;
    const internal::Refusals* refused;  // null where it is ok()
    bool impossible = false;
  };

  TimePoint Now() const override { return clock_.Now(); }
  void Cancel(internal::Promise& promise, TimePoint ready_at, TimePoint now) override;
  TimePoint Watch(internal::Promise& promise, TimePoint ready_at, Waker* waker) override;
  void TakeBack(internal::Promise& promise, TimePoint now) override;

  WhenFull when_full() const { return when_full_.load(std::memory_order_relaxed); }
  std::uint64_t Fingerprint(std::string_view key) const;
  internal::KeyedShard& ShardOf(std::uint64_t fingerprint) const;
  TimePoint RoomAt(TimePoint now) const;

  Request Prepare(std::string_view key, std::int64_t n) const;
  template <class Use>
  Found WithKey(const Request& request, TimePoint now, Use use);
  template <class Use>
  void Add(const Request& request, const Limits& limits, Use use);
  void Change(TimePoint now, const Limits& limits,
              const std::shared_ptr<const LimitsFor>& limits_for, WhenFull when_full);
  // With setting_ held.
  Limits limits() const;
  std::shared_ptr<const LimitsFor> limits_for() const;
  // Returns the function that was replaced, which is the user's: to be destroyed with nothing
  // locked.
  template <class Set>
  std::shared_ptr<const LimitsFor> SetLimitsOfAll(TimePoint now, Set set);

  bool Allow(const Request& request, TimePoint now);
  // Of a call that isn't refundable, tokens that come at once can't be given back.
  Answer Take(TimePoint now, std::string_view key, std::int64_t n, Duration max_wait,
              internal::TakenFor whom);
  Answer TakeWithoutRoom(WhenFull when_full, TimePoint now, std::int64_t n, Duration max_wait,
                         internal::TakenFor whom);
  // Calls `decide(held)` with the key's bucket held, or the one that keys share, or null where
  // nothing limits it; or says why there is none.
  std::optional<Answer> Together(TimePoint now, std::string_view key, std::int64_t n,
                                 absl::FunctionRef<void(internal::HeldBucket*)> decide);
  // Has a key that is in use go by the limits that it is to have.
  void Look(TimePoint now, std::string_view key);

  // Keys, and room that is held for some; never more than max_keys_. A mere count, hence relaxed.
  std::atomic<std::int64_t> size_{0};

  const std::int64_t max_keys_;
  std::atomic<WhenFull> when_full_;  // relaxed: nothing else goes with it
  const std::array<std::uint64_t, 4> secret_;
  const std::size_t shard_mask_;
  const std::unique_ptr<internal::KeyedShard[]> shards_;
  const std::unique_ptr<TokenBucket> shared_;  // with kShare, which may come yet
  mutable std::mutex setting_;                 // the options, and the shards' one after the other
  std::mutex growing_;                         // a shard's tables; the innermost of all

  const std::string name_;
  internal::ObjectClock clock_;
  const internal::Refusals refusals_;
  const internal::Refusals no_room_;
};

absl::Status Validate(const KeyedTokenBucket::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RATE_KEYED_TOKEN_BUCKET_H_
