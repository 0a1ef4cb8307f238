// A KeyedTokenBucket limits each key by a bucket of its own: each customer, address or path.
//
//   holdfast::KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 20}, .max_keys = 100'000});
//   if (buckets.Allow(customer)) serve(request);
//
// To limit the calls of a stack use KeyedRateLimit (keyed_rate_limit.h).
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
#include "holdfast/base/internal/striped_counters.h"
#include "holdfast/base/time.h"
#include "holdfast/rate/internal/limit_totals.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast {

namespace internal {
class HeldBucket;
class KeyedShard;
class KeySource;
}  // namespace internal

// Thread-safe. Each key has a bucket that starts full and decides as a TokenBucket does. The object
// remembers at most `max_keys` keys, in max_keys * kBytesPerKey + kFewBytes bytes, however long the
// keys are.
//
// Eviction: a key is forgotten only to make room for another key, and only while its bucket is full
// and no reservation is pending; that is the same as if the key had never been used. So a client
// that cycles through many keys gets no more for each key than its bucket gives. An evictable key
// is found in constant time, amortized over all uses, and so is that there is none. No timers, no
// threads.
//
// Hashing: a key is identified by a 64-bit hash with random secrets of this object, so no client
// can choose keys that collide. Two keys that collide share a bucket; among n keys that happens
// with probability n^2 / 2^65: one in thirty million for a million keys.
//
// Locking: the keys are divided among up to 64 shards, each with a mutex that is held for some
// nanoseconds, or as long as its table takes to grow. A `now` older than one that the shard has
// seen for any of its keys counts as that one, so it adds no tokens.
class KeyedTokenBucket final : internal::Promiser {
 public:
  struct Limits {
    double rate = 0;  // tokens per second, in [0, 1e9], or kInfiniteRate: admit all. Required, as
                      // TokenBucket::Options::rate
    std::int64_t burst = kBurstOfOneSecond;  // tokens that a bucket holds, 1 to
                                             // TokenBucket::kMaxBurst; default: one second of rate

    friend bool operator==(const Limits&, const Limits&) = default;
  };

  // Returns the limits of a key, or of the class that the key belongs to. Called for a key that is
  // not remembered or for which there is no room: outside every lock, possibly in several threads
  // at once for the same key. It may call back into the object. A burst of 0 blocks the key. What
  // the function throws, and std::invalid_argument for limits that SetLimits would refuse, passes
  // to the caller, and nothing has been taken.
  using LimitsFor = std::function<Limits(std::string_view key)>;

  // What happens to a new key while `max_keys` other keys are in use.
  enum class WhenFull {
    // The request is refused. Nothing passes without a limit; but a client that keeps that many
    // keys in use keeps new keys out. Keys in use are not affected.
    kRefuse,
    // All such keys share one more bucket, with Options::limits. What passes stays bounded; but in
    // a flood of new keys each of them gets little.
    kShare,
    // The request is admitted. No new key is turned away; but a client that uses a new key for each
    // request is not limited at all.
    kAdmit,
  };

  struct Options {
    // Of each key. With limits_for: only of the bucket that keys share (kShare), and else not
    // needed.
    Limits limits = {};
    LimitsFor limits_for = {};        // default (null): `limits` for every key
    std::int64_t max_keys = 100'000;  // 1 to 2^30
    WhenFull when_full = WhenFull::kRefuse;
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of the methods without At; null: its stack's, or the steady one
  };

  static constexpr std::size_t kBytesPerKey = 50;  // tables included, also while they grow
  static constexpr std::size_t kFewBytes = 400'000;
  // In addition: for each distinct Limits among the keys of a shard, and for each pending
  // reservation.
  static constexpr std::size_t kBytesPerLimits = 384;
  static constexpr std::size_t kBytesPerPromise = 300;

  // Throws std::invalid_argument with the text of Validate. The clock must outlive the object.
  explicit KeyedTokenBucket(Options options);
  KeyedTokenBucket(const KeyedTokenBucket&) = delete;
  KeyedTokenBucket& operator=(const KeyedTokenBucket&) = delete;
  ~KeyedTokenBucket();

  // As TokenBucket's Allow. A key that takes no tokens needs no room.
  [[nodiscard]] bool Allow(std::string_view key, std::int64_t n = 1);
  [[nodiscard]] bool AllowAt(TimePoint now, std::string_view key, std::int64_t n = 1);

  // As TokenBucket's Reserve. If there is no room for the key, too_late_at() is a time before which
  // there will be none, unless tokens are given back; TimePoint::max() if no key in use is ever
  // full again.
  Reservation Reserve(std::string_view key, std::int64_t n = 1) { return ReserveAt(Now(), key, n); }
  Reservation ReserveAt(TimePoint now, std::string_view key, std::int64_t n = 1,
                        TimeSpan max_wait = Duration::max());

  // As TokenBucket's Wait; returns kResourceExhausted also where there is no room for the key.
  [[nodiscard]] absl::Status Wait(std::string_view key, std::int64_t n = 1,
                                  const WaitOptions& options = {});

  // As TokenBucket's. A charge to a key for which there is no room goes to the bucket that such
  // keys share, if they do, and else is not remembered. A refund to a key that is not in use is
  // lost: its bucket is full.
  void Charge(std::string_view key, std::int64_t n) { ChargeAt(Now(), key, n); }
  void ChargeAt(TimePoint now, std::string_view key, std::int64_t n);
  void Refund(std::string_view key, std::int64_t n) { RefundAt(Now(), key, n); }
  void RefundAt(TimePoint now, std::string_view key, std::int64_t n);

  // Changes the limits of all keys, while calls run. The buckets of keys in use carry their tokens
  // over as TokenBucket::SetLimits says.
  //
  // Given Limits, all buckets change at once, and so does the bucket that keys without room share.
  // Given a function, a key changes when it is next used, and until then keeps the limits that it
  // has; if the function is replaced meanwhile, the last one counts; a call that waits for the key
  // changes it at once. kReset fills all buckets at once in both cases. A burst of 0 stops all
  // keys.
  //
  // They throw std::invalid_argument for any other limits that Validate refuses, and for a null
  // function, and may run beside any other call.
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

  // Replaces all options, while calls run: limits and function as SetLimits does with
  // TokenCarryOver::kAsIs; when_full from the next key on for which there is no room. (What such
  // keys took from their shared bucket is remembered while another when_full holds.) An option that
  // is left out gets its default. A function counts as a new one unless it is that of options().
  // Name, clock and max_keys cannot change: name and clock, left out, stay; other values are
  // refused, and so is another max_keys, since the tables are made for it. Returns
  // kInvalidArgument, and changes nothing, for options that Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options, with bursts in tokens. To change one option, change it in a copy.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // As TokenBucket's Tokens. A key that is not in use has its burst.
  double Tokens(std::string_view key) const { return TokensAt(Now(), key); }
  double TokensAt(TimePoint now, std::string_view key) const;

  std::int64_t size() const { return size_.load(std::memory_order_relaxed); }  // keys remembered
  std::int64_t max_keys() const { return max_keys_; }
  const std::string& name() const { return name_; }

  // Tells how many keys are remembered, how many can be, and how many calls found no room for
  // theirs; of all keys together what a TokenBucket counts; and rate and burst, unless each key has
  // what a function says.
  void Collect(Collector& collector) const;

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
    const internal::CountedRefusals* refused;  // null where it is ok()
    bool impossible = false;

    // Of what nobody was to wait for.
    void Count() const {
      if (refused != nullptr) refused->CountRefused(impossible);
    }
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
  bool AllowSlowly(const Request& request, TimePoint now);
  bool AllowWithoutRoom(TimePoint now, std::int64_t n);
  // Count no refusals. Of a call that isn't refundable, tokens that come at once can't be given
  // back.
  Answer Take(TimePoint now, std::string_view key, std::int64_t n, Duration max_wait,
              internal::TakenFor whom);
  Answer TakeWithoutRoom(WhenFull when_full, TimePoint now, std::int64_t n, Duration max_wait,
                         internal::TakenFor whom);
  // Calls `decide(held)` with the key's bucket held, or the one that keys share, or null where
  // nothing limits it; or says why there is none. Counts no refusals, and that there is no room
  // only if the call `comes`, and has not been here before.
  std::optional<Answer> Together(TimePoint now, std::string_view key, std::int64_t n, bool comes,
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
  const internal::CountedRefusals refusals_;
  const internal::CountedRefusals no_room_;
  internal::StripedCounters turned_away_{1};  // calls for whose key there was no room
  internal::ChargeTotals charges_;
};

absl::Status Validate(const KeyedTokenBucket::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RATE_KEYED_TOKEN_BUCKET_H_
