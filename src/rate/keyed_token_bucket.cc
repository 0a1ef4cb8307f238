#include "holdfast/rate/keyed_token_bucket.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "holdfast/base/internal/random.h"
#include "holdfast/base/internal/validate.h"
#include "src/rate/keyed_shard.h"
#include "src/rate/secret_hash.h"
#include "src/rate/several_buckets.h"
#include "src/rate/token_wait.h"

namespace holdfast {
namespace {

using internal::KeyedShard;
using internal::KeyTable;
using internal::kNone;
using internal::SecretHash;
using internal::ThrowIfNegative;

constexpr char kPolicy[] = "KeyedRateLimit";
constexpr double kMaxRate = 1e9;
constexpr std::int64_t kKeysPerShard = 1024;
constexpr std::int64_t kMostShards = 64;

// While a table grows there is another one, of a shard: that is of few keys, or of few of all.
static_assert(KeyTable::kBytesPerKey * (kMostShards + 2) / kMostShards <
              KeyedTokenBucket::kBytesPerKey);
static_assert(sizeof(KeyedTokenBucket) +
                  kMostShards * (sizeof(KeyedShard) + KeyTable::kFewBytes + KeyedShard::kFewBytes) +
                  2 * kKeysPerShard * KeyTable::kBytesPerKey <
              KeyedTokenBucket::kFewBytes);

std::int64_t ShardsFor(std::int64_t max_keys) {
  const auto wanted =
      static_cast<std::uint64_t>(std::max<std::int64_t>(max_keys / kKeysPerShard, 1));
  return std::min(static_cast<std::int64_t>(std::bit_floor(wanted)), kMostShards);
}

bool Infinite(const KeyedTokenBucket::Limits& limits) { return limits.rate == kInfiniteRate; }

absl::Status ValidateLimits(const KeyedTokenBucket::Limits& limits, const std::string& name) {
  if (!(limits.rate >= 0 && limits.rate <= kMaxRate) && !Infinite(limits)) {
    return absl::InvalidArgumentError(absl::StrCat("KeyedTokenBucket ", name,
                                                   ": rate must be in [0, 1e9] or kInfiniteRate, "
                                                   "not ",
                                                   limits.rate));
  }
  if (limits.burst < 0 || limits.burst > TokenBucket::kMaxBurst) {
    return absl::InvalidArgumentError(absl::StrCat(
        "KeyedTokenBucket ", name, ": burst must be in [0, 2^50], not ", limits.burst));
  }
  return absl::OkStatus();
}

KeyedTokenBucket::Limits Ask(const KeyedTokenBucket::LimitsFor& limits_for, std::string_view key,
                             const std::string& name) {
  const KeyedTokenBucket::Limits limits = limits_for(key);
  internal::ThrowIfInvalid(ValidateLimits(limits, name));
  return limits;
}

// What options() gives for a function: so that it is known again.
struct SharedFunction {
  KeyedShard::LimitsFor function;

  KeyedTokenBucket::Limits operator()(std::string_view key) const { return (*function)(key); }
};

KeyedShard::LimitsFor Shared(KeyedTokenBucket::LimitsFor limits_for) {
  if (limits_for == nullptr) return nullptr;
  if (const auto* const known = limits_for.target<SharedFunction>()) return known->function;
  return std::make_shared<const KeyedTokenBucket::LimitsFor>(std::move(limits_for));
}

std::unique_ptr<TokenBucket> SharedBucket(const KeyedTokenBucket::Options& options) {
  return std::make_unique<TokenBucket>(TokenBucket::Options{.rate = options.limits.rate,
                                                            .burst = options.limits.burst,
                                                            .name = options.name,
                                                            .clock = options.clock});
}

SecretHash::Secret NewSecret() {
  SecretHash::Secret secret;
  for (std::uint64_t& word : secret) word = internal::RandomSeed();
  return secret;
}

// Neither waiting nor a later deadline would help.
internal::Refusals NoRoom(internal::Refusals refusals, const std::string& name) {
  refusals.exhausted = MakeRejection(
      absl::StatusCode::kResourceExhausted,
      {.kind = RejectionKind::kRateLimited, .policy = kPolicy, .name = name},
      absl::StrCat(kPolicy, name.empty() ? "" : " ", name, ": no room for another key"));
  refusals.deadline = refusals.exhausted;
  return refusals;
}

}  // namespace

absl::Status Validate(const KeyedTokenBucket::Options& options) {
  if (options.max_keys < 1 || options.max_keys > KeyTable::kMaxKeys) {
    return absl::InvalidArgumentError(absl::StrCat("KeyedTokenBucket ", options.name,
                                                   ": max_keys must be in [1, 2^30], not ",
                                                   options.max_keys));
  }
  return ValidateLimits(options.limits, options.name);
}

// Of one of the max_keys keys; given back unless a key has moved in.
class KeyedTokenBucket::Room {
 public:
  explicit Room(KeyedTokenBucket& bucket) : bucket_(bucket) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() {
    if (held_) bucket_.size_.fetch_sub(1, std::memory_order_relaxed);
  }

  // Takes what is left, or that of an idle key of `shard`, which is locked.
  bool Find(KeyedShard& shard) {
    std::int64_t size = bucket_.size_.load(std::memory_order_relaxed);
    while (!held_ && size < bucket_.max_keys_) {
      held_ = bucket_.size_.compare_exchange_weak(size, size + 1, std::memory_order_relaxed);
    }
    return held_ || FindIn(shard);
  }
  // Or of any other; none is locked.
  bool FindElsewhere(TimePoint now) {
    for (std::size_t i = 0; !held_ && i <= bucket_.shard_mask_; ++i) {
      KeyedShard& shard = bucket_.shards_[i];
      if (shard.earliest() > now) continue;
      const std::lock_guard lock(shard.mutex);
      shard.Observe(now);
      FindIn(shard);
    }
    return held_;
  }
  void MoveIn() { held_ = false; }

 private:
  bool FindIn(KeyedShard& shard) { return held_ = held_ || shard.Evict(); }

  KeyedTokenBucket& bucket_;
  bool held_ = false;
};

struct KeyedTokenBucket::Request {
  KeyedShard& shard;
  std::uint64_t fingerprint;
  std::string_view key;
  std::int64_t n;
  bool over_burst = false;  // takes them all the same

  bool NeedsRoom(const Limits& limits) const {
    return n > 0 && (over_burst || n <= limits.burst) && !Infinite(limits);
  }
};

struct KeyedTokenBucket::Found {
  enum class Where { kInUse, kUnused, kNoRoom };

  Where where;
  Limits limits = {};  // of a key that isn't in use

  bool Impossible(std::int64_t n) const { return n < 0 || (n > limits.burst && !Infinite(limits)); }
};

KeyedTokenBucket::KeyedTokenBucket(Options options)
    : max_keys_(internal::Validated(options).max_keys),
      when_full_(options.when_full),
      secret_(NewSecret()),
      shard_mask_(static_cast<std::size_t>(ShardsFor(max_keys_)) - 1),
      shards_(std::make_unique<KeyedShard[]>(shard_mask_ + 1)),
      shared_(SharedBucket(options)),
      name_(options.name),
      clock_(options.clock),
      refusals_(RejectionKind::kRateLimited, kPolicy, name_, "token"),
      no_room_(NoRoom(refusals_, name_)) {
  const auto limits_for = Shared(std::move(options.limits_for));
  for (std::size_t i = 0; i <= shard_mask_; ++i) {
    shards_[i].Begin(max_keys_, &growing_, options.limits, limits_for);
  }
}

KeyedTokenBucket::~KeyedTokenBucket() = default;

inline std::uint64_t KeyedTokenBucket::Fingerprint(std::string_view key) const {
  return SecretHash::Of(key, secret_);
}

// By bits that a shard's own table uses least.
inline KeyedShard& KeyedTokenBucket::ShardOf(std::uint64_t fingerprint) const {
  return shards_[(fingerprint >> 32) & shard_mask_];
}

inline KeyedTokenBucket::Request KeyedTokenBucket::Prepare(std::string_view key,
                                                           std::int64_t n) const {
  const std::uint64_t fingerprint = Fingerprint(key);
  KeyedShard& shard = ShardOf(fingerprint);
  shard.Prefetch(fingerprint);
  return {.shard = shard, .fingerprint = fingerprint, .key = key, .n = n};
}

// Calls `use(shard, number)` with the shard locked, on the key, if it is in use or there is room
// for it. Goes round once more for what must be done with nothing locked.
template <class Use>
KeyedTokenBucket::Found KeyedTokenBucket::WithKey(const Request& request, TimePoint now, Use use) {
  KeyedShard& shard = request.shard;
  Room room(*this);
  Limits limits;
  std::optional<std::uint64_t> settings;  // of the shard, that gave them
  for (;;) {
    std::unique_lock lock(shard.mutex);
    shard.Observe(now);
    const std::uint32_t number = shard.Find(request.fingerprint);
    const bool settled = number != kNone && shard.Settled(number);
    if (!settled && settings != shard.settings()) {
      settings = shard.settings();
      limits = shard.limits();
      if (const KeyedShard::LimitsFor limits_for = shard.limits_for()) {
        lock.unlock();
        limits = Ask(*limits_for, request.key, name_);
        continue;
      }
    }
    if (number != kNone) {
      if (!settled) shard.Settle(number, limits);
      use(shard, number);
      return {.where = Found::Where::kInUse};
    }
    // The answer that nothing limits a key is worth some room, if there is any.
    const bool wants_room = Infinite(limits) && shard.limits_for() != nullptr;
    if (!request.NeedsRoom(limits) && !(wants_room && room.Find(shard))) {
      return {.where = Found::Where::kUnused, .limits = limits};
    }
    if (room.Find(shard)) {
      Add(request, limits, use);
      room.MoveIn();
      return {.where = Found::Where::kInUse};
    }
    lock.unlock();
    if (!room.FindElsewhere(now)) return {.where = Found::Where::kNoRoom, .limits = limits};
  }
}

template <class Use>
void KeyedTokenBucket::Add(const Request& request, const Limits& limits, Use use) {
  KeyedShard& shard = request.shard;
  const std::uint32_t number = shard.Insert(request.fingerprint, limits);
  try {
    use(shard, number);
  } catch (...) {
    shard.Erase(number);
    throw;
  }
  shard.Enqueue(number);
}

// Before that no key is idle, so nobody else finds room.
TimePoint KeyedTokenBucket::RoomAt(TimePoint now) const {
  TimePoint at = TimePoint::max();
  for (std::size_t i = 0; i <= shard_mask_; ++i) at = std::min(at, shards_[i].earliest());
  return std::max(at, SaturatingAdd(now, Duration(1)));
}

// The clock can be read while the memory looks for the key.
bool KeyedTokenBucket::Allow(std::string_view key, std::int64_t n) {
  const Request request = Prepare(key, n);
  const TimePoint now = Now();
  const std::optional<bool> allowed = request.shard.TryAllow(request.fingerprint, now, n);
  return allowed ? *allowed : Allow(request, now);
}

bool KeyedTokenBucket::AllowAt(TimePoint now, std::string_view key, std::int64_t n) {
  const Request request = Prepare(key, n);
  const std::optional<bool> allowed = request.shard.TryAllow(request.fingerprint, now, n);
  return allowed ? *allowed : Allow(request, now);
}

bool KeyedTokenBucket::Allow(const Request& request, TimePoint now) {
  const std::int64_t n = request.n;
  bool allowed = false;
  const Found found = WithKey(request, now, [&](KeyedShard& shard, std::uint32_t number) {
    allowed = shard.Allow(number, n);
  });
  if (found.where == Found::Where::kInUse) return allowed;
  if (found.where == Found::Where::kUnused) return !found.Impossible(n);
  const WhenFull when_full = this->when_full();
  return when_full == WhenFull::kAdmit ||
         (when_full == WhenFull::kShare && shared_->AllowAt(now, n));
}

KeyedTokenBucket::Answer KeyedTokenBucket::Take(TimePoint now, std::string_view key, std::int64_t n,
                                                Duration max_wait, internal::TakenFor whom) {
  std::shared_ptr<internal::Promise> promise;
  TimePoint at = now;
  bool impossible = false;
  const auto in_time = [&] { return at != TimePoint::max() && SaturatingSub(at, now) <= max_wait; };
  const Request request = Prepare(key, n);
  const bool keeps = whom == internal::TakenFor::kCall;  // what it takes at once
  const bool moves = whom != internal::TakenFor::kReservation;
  if (keeps && in_time() && request.shard.TryAllow(request.fingerprint, now, n) == true) {
    return {Reservation(this, nullptr, now), nullptr};
  }
  const Found found = WithKey(request, now, [&](KeyedShard& shard, std::uint32_t number) {
    const TimePoint earliest = shard.EarliestFor(number, n);
    const bool at_once = earliest <= shard.now();
    at = at_once ? now : earliest;
    impossible = shard.Impossible(number, n);
    if (!in_time()) return;
    if (at_once && keeps) {
      shard.TakeNow(number, n);
    } else {
      promise = shard.Take(number, n, earliest, moves);
    }
  });
  if (const WhenFull when_full = this->when_full();
      found.where == Found::Where::kNoRoom && when_full != WhenFull::kAdmit) {
    return TakeWithoutRoom(when_full, now, n, max_wait, whom);
  }
  if (found.where == Found::Where::kUnused && found.Impossible(n)) {
    at = TimePoint::max();
    impossible = true;
  }
  if (!in_time()) return {Reservation(nullptr, nullptr, at), &refusals_, impossible};
  return {Reservation(this, std::move(promise), at), nullptr};
}

KeyedTokenBucket::Answer KeyedTokenBucket::TakeWithoutRoom(WhenFull when_full, TimePoint now,
                                                           std::int64_t n, Duration max_wait,
                                                           internal::TakenFor whom) {
  if (when_full == WhenFull::kRefuse) {
    return {Reservation(nullptr, nullptr, RoomAt(now)), &no_room_};
  }
  Reservation shared = internal::TokenWait::Reserve(*shared_, now, n, max_wait, whom);
  const internal::Refusals* const refused = shared.ok() ? nullptr : &refusals_;
  const bool impossible = n > shared_->burst() && shared_->rate() != kInfiniteRate;
  return {std::move(shared), refused, impossible};
}

Reservation KeyedTokenBucket::ReserveAt(TimePoint now, std::string_view key, std::int64_t n,
                                        TimeSpan max_wait) {
  return Take(now, key, n, max_wait, internal::TakenFor::kReservation).reservation;
}

absl::Status KeyedTokenBucket::Wait(std::string_view key, std::int64_t n,
                                    const WaitOptions& options) {
  if (n < 0) return refusals_.impossible;
  if (options.stop.stop_requested()) return refusals_.cancelled;
  const TimePoint now = Now();
  Answer answer =
      Take(now, key, n, SaturatingSub(options.deadline, now), internal::TakenFor::kCall);
  Reservation& reservation = answer.reservation;
  if (answer.impossible) return answer.refused->impossible;
  if (answer.refused != nullptr) {
    return reservation.too_late_at() == TimePoint::max() ? answer.refused->exhausted
                                                         : answer.refused->deadline;
  }
  if (reservation.ready_at() <= now) return absl::OkStatus();
  const bool slept = internal::TokenWait::Sleep(clock_.get(), reservation, options.stop,
                                                [this, key] { Look(Now(), key); });
  return slept ? absl::OkStatus() : refusals_.cancelled;
}

void KeyedTokenBucket::Look(TimePoint now, std::string_view key) {
  WithKey(Prepare(key, 0), now, [](KeyedShard&, std::uint32_t) {});
}

TimePoint KeyedTokenBucket::Watch(internal::Promise& promise, TimePoint ready_at, Waker* waker) {
  const std::lock_guard lock(ShardOf(promise.key).mutex);
  promise.waker = waker;
  return promise.moves ? promise.ready_at : ready_at;
}

void KeyedTokenBucket::Cancel(internal::Promise& promise, TimePoint ready_at, TimePoint now) {
  if (now > ready_at) return;
  KeyedShard& shard = ShardOf(promise.key);
  const std::lock_guard lock(shard.mutex);
  shard.Observe(now);
  const std::uint32_t number = shard.Find(promise.key);
  if (number != kNone) {
    shard.Cancel(number, promise);
  } else {
    promise.cancelled = true;  // to a full bucket, also if the key comes back
  }
}

void KeyedTokenBucket::TakeBack(internal::Promise& promise, TimePoint now) {
  KeyedShard& shard = ShardOf(promise.key);
  const std::lock_guard lock(shard.mutex);
  shard.Observe(now);
  const std::uint32_t number = shard.Find(promise.key);
  if (number != kNone) shard.TakeBack(number, promise);
}

class KeyedTokenBucket::HeldKey final : public internal::HeldBucket {
 public:
  HeldKey(KeyedTokenBucket& of, KeyedShard& shard, std::uint32_t key)
      : bucket_(of), shard_(shard), key_(key) {}

  TimePoint EarliestFor(std::int64_t n, TimePoint from) override {
    const TimePoint earliest = shard_.EarliestFor(key_, n, from);
    return earliest <= shard_.now() ? from : earliest;
  }
  Reservation Take(std::int64_t n, TimePoint ready_at) override {
    return internal::TokenWait::Make(&bucket_, shard_.Take(key_, n, ready_at, /*moves=*/false),
                                     ready_at);
  }
  bool Gave(const Reservation& reservation) const override {
    return internal::TokenWait::GiverOf(reservation) == &bucket_;
  }
  bool Lift(Reservation& reservation) override {
    const auto& promise = internal::TokenWait::PromiseOf(reservation);
    return promise != nullptr && shard_.Lift(key_, *promise);
  }
  void Put(Reservation& reservation, std::optional<TimePoint> ready_at) override {
    shard_.Put(key_, internal::TokenWait::PromiseOf(reservation), ready_at);
    if (ready_at) internal::TokenWait::SetReadyAt(reservation, *ready_at);
  }
  bool Impossible(std::int64_t n) const override { return shard_.Impossible(key_, n); }
  const internal::Refusals& refusals() const override { return bucket_.refusals_; }

 private:
  KeyedTokenBucket& bucket_;
  KeyedShard& shard_;
  std::uint32_t key_;
};

std::optional<KeyedTokenBucket::Answer> KeyedTokenBucket::Together(
    TimePoint now, std::string_view key, std::int64_t n,
    absl::FunctionRef<void(internal::HeldBucket*)> decide) {
  const Found found = WithKey(Prepare(key, n), now, [&](KeyedShard& shard, std::uint32_t number) {
    HeldKey held(*this, shard, number);
    decide(&held);
  });
  if (found.where == Found::Where::kInUse) return std::nullopt;
  if (found.where == Found::Where::kUnused && found.Impossible(n)) {
    return Answer{Reservation(nullptr, nullptr, TimePoint::max()), &refusals_, true};
  }
  const WhenFull when_full = this->when_full();
  if (found.where == Found::Where::kNoRoom && when_full == WhenFull::kRefuse) {
    return Answer{Reservation(nullptr, nullptr, RoomAt(now)), &no_room_};
  }
  if (found.where == Found::Where::kNoRoom && when_full == WhenFull::kShare) {
    internal::HeldTokenBucket held(*shared_, now);
    decide(&held);
  } else {
    decide(nullptr);
  }
  return std::nullopt;
}

void KeyedTokenBucket::ChargeAt(TimePoint now, std::string_view key, std::int64_t n) {
  ThrowIfNegative(n);
  Request request = Prepare(key, n);
  request.over_burst = true;
  const Found found = WithKey(
      request, now, [&](KeyedShard& shard, std::uint32_t number) { shard.Charge(number, n); });
  const bool shares = when_full() == WhenFull::kShare;
  if (found.where == Found::Where::kNoRoom && shares) shared_->ChargeAt(now, n);
}

void KeyedTokenBucket::RefundAt(TimePoint now, std::string_view key, std::int64_t n) {
  ThrowIfNegative(n);
  const std::uint64_t fingerprint = Fingerprint(key);
  KeyedShard& shard = ShardOf(fingerprint);
  const std::lock_guard lock(shard.mutex);
  shard.Observe(now);
  const std::uint32_t number = shard.Find(fingerprint);
  if (number != kNone) shard.Refund(number, n);
}

void KeyedTokenBucket::SetLimitsAt(TimePoint now, const Limits& limits, TokenCarryOver carry_over) {
  internal::ThrowIfInvalid(ValidateLimits(limits, name_));
  KeyedShard::LimitsFor replaced;
  const std::lock_guard setting(setting_);
  replaced =
      SetLimitsOfAll(now, [&](KeyedShard& shard) { return shard.SetLimits(limits, carry_over); });
  shared_->SetLimitsAt(now, limits.rate, limits.burst, carry_over);
}

void KeyedTokenBucket::SetLimitsAt(TimePoint now, LimitsFor limits_for, TokenCarryOver carry_over) {
  if (limits_for == nullptr) {
    internal::ThrowIfInvalid(absl::InvalidArgumentError("a function for limits is null"));
  }
  const auto shared = Shared(std::move(limits_for));
  KeyedShard::LimitsFor replaced;
  const std::lock_guard setting(setting_);
  replaced =
      SetLimitsOfAll(now, [&](KeyedShard& shard) { return shard.SetLimits(shared, carry_over); });
}

template <class Set>
KeyedShard::LimitsFor KeyedTokenBucket::SetLimitsOfAll(TimePoint now, Set set) {
  KeyedShard::LimitsFor replaced = limits_for();
  for (std::size_t i = 0; i <= shard_mask_; ++i) {
    KeyedShard& shard = shards_[i];
    const std::lock_guard lock(shard.mutex);
    shard.Observe(now);
    size_.fetch_sub(static_cast<std::int64_t>(set(shard)), std::memory_order_relaxed);
  }
  return replaced;
}

// What keys share has them also while each has what a function says.
KeyedTokenBucket::Limits KeyedTokenBucket::limits() const {
  return {.rate = shared_->rate(), .burst = shared_->burst()};
}

KeyedShard::LimitsFor KeyedTokenBucket::limits_for() const {
  const std::lock_guard lock(shards_[0].mutex);
  return shards_[0].limits_for();
}

KeyedTokenBucket::Options KeyedTokenBucket::options() const {
  const std::lock_guard setting(setting_);
  const KeyedShard::LimitsFor function = limits_for();
  return {.limits = limits(),
          .limits_for = function == nullptr ? LimitsFor() : SharedFunction{function},
          .max_keys = max_keys_,
          .when_full = when_full(),
          .name = name_,
          .clock = clock_.given()};
}

absl::StatusOr<internal::Commit> KeyedTokenBucket::PrepareUpdate(Options options) {
  if (absl::Status status = internal::CheckSame("KeyedTokenBucket", name_, options.name,
                                                clock_.given(), options.clock);
      !status.ok()) {
    return status;
  }
  options.name = name_;
  if (absl::Status status = Validate(options); !status.ok()) return status;
  if (options.max_keys != max_keys_) {
    return absl::InvalidArgumentError(
        absl::StrCat("KeyedTokenBucket ", name_, ": max_keys can't change from ", max_keys_, " to ",
                     options.max_keys, ": its tables are made for it"));
  }
  return [this, limits = options.limits, when_full = options.when_full,
          limits_for = Shared(std::move(options.limits_for))] {
    Change(Now(), limits, limits_for, when_full);
  };
}

void KeyedTokenBucket::Change(TimePoint now, const Limits& limits,
                              const std::shared_ptr<const LimitsFor>& limits_for,
                              WhenFull when_full) {
  KeyedShard::LimitsFor replaced;
  const std::lock_guard setting(setting_);
  const bool same = limits == this->limits();
  if (limits_for != this->limits_for() || (limits_for == nullptr && !same)) {
    replaced = SetLimitsOfAll(now, [&](KeyedShard& shard) {
      return limits_for == nullptr ? shard.SetLimits(limits, TokenCarryOver::kAsIs)
                                   : shard.SetLimits(limits_for, TokenCarryOver::kAsIs);
    });
  }
  if (!same) shared_->SetLimitsAt(now, limits.rate, limits.burst);
  when_full_.store(when_full, std::memory_order_relaxed);
}

double KeyedTokenBucket::TokensAt(TimePoint now, std::string_view key) const {
  const std::uint64_t fingerprint = Fingerprint(key);
  KeyedShard& shard = ShardOf(fingerprint);
  KeyedShard::LimitsFor limits_for;
  {
    const std::lock_guard lock(shard.mutex);
    const std::uint32_t number = shard.Find(fingerprint);
    if (number != kNone) return shard.Tokens(number, now);
    limits_for = shard.limits_for();
    if (limits_for == nullptr) return static_cast<double>(shard.limits().burst);
  }
  return static_cast<double>(Ask(*limits_for, key, name_).burst);
}

}  // namespace holdfast
