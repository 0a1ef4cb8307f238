#include "holdfast/rate/keyed_token_bucket.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "holdfast/base/internal/random.h"
#include "holdfast/base/internal/validate.h"
#include "src/rate/bucket_limits.h"
#include "src/rate/in_time.h"
#include "src/rate/keyed_limits.h"
#include "src/rate/keyed_request.h"
#include "src/rate/keyed_shard.h"
#include "src/rate/secret_hash.h"
#include "src/rate/token_wait.h"

namespace holdfast {
namespace {

using internal::InTokens;
using internal::KeyedShard;
using internal::KeyTable;
using internal::kNone;
using internal::SecretHash;
using internal::ThrowIfNegative;

constexpr char kKeyedPolicy[] = "KeyedRateLimit";
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

// It has limits that admit nothing where nobody is to use it.
std::unique_ptr<TokenBucket> SharedBucket(const KeyedTokenBucket::Options& options) {
  const auto [rate, burst] = InTokens(options.limits);
  auto bucket =
      std::make_unique<TokenBucket>(TokenBucket::Options{.rate = rate,
                                                         .burst = std::max<std::int64_t>(burst, 1),
                                                         .name = options.name,
                                                         .clock = options.clock});
  if (burst == 0) bucket->SetBurstAt(TimePoint::min(), 0);
  return bucket;
}

SecretHash::Secret NewSecret() {
  SecretHash::Secret secret;
  for (std::uint64_t& word : secret) word = internal::RandomSeed();
  return secret;
}

// Neither waiting nor a later deadline would help.
internal::Refusals NoRoom(internal::Refusals refusals, const std::string& name) {
  refusals.exhausted =
      internal::Refusal(absl::StatusCode::kResourceExhausted, RejectionKind::kRateLimited,
                        kKeyedPolicy, name, "no room for another key");
  refusals.deadline = refusals.exhausted;
  return refusals;
}

}  // namespace

KeyedTokenBucket::KeyedTokenBucket(Options options)
    : max_keys_(internal::Validated(options).max_keys),
      when_full_(options.when_full),
      secret_(NewSecret()),
      shard_mask_(static_cast<std::size_t>(ShardsFor(max_keys_)) - 1),
      shards_(std::make_unique<KeyedShard[]>(shard_mask_ + 1)),
      shared_(SharedBucket(options)),
      name_(options.name),
      clock_(options.clock),
      refusals_(internal::TokenRefusals(kKeyedPolicy, name_)),
      no_room_(NoRoom(internal::TokenRefusals(kKeyedPolicy, name_), name_)) {
  const auto limits_for = internal::SharedLimits(std::move(options.limits_for));
  for (std::size_t i = 0; i <= shard_mask_; ++i) {
    shards_[i].Begin(max_keys_, &growing_, InTokens(options.limits), limits_for);
  }
}

KeyedTokenBucket::~KeyedTokenBucket() = default;

// Before that no key is idle, so nobody else finds room.
TimePoint KeyedTokenBucket::RoomAt(TimePoint now) const {
  TimePoint at = TimePoint::max();
  for (std::size_t i = 0; i <= shard_mask_; ++i) at = std::min(at, shards_[i].earliest());
  return std::max(at, SaturatingAdd(now, Duration(1)));
}

// The clock can be read while the memory looks for the key.
bool KeyedTokenBucket::Allow(std::string_view key, std::int64_t n) {
  const Request request = Prepare(key, n);
  return Allow(request, Now());
}

bool KeyedTokenBucket::AllowAt(TimePoint now, std::string_view key, std::int64_t n) {
  return Allow(Prepare(key, n), now);
}

bool KeyedTokenBucket::Allow(const Request& request, TimePoint now) {
  const std::optional<bool> allowed = request.shard.TryAllow(request.fingerprint, now, request.n);
  if (!allowed) return AllowSlowly(request, now);
  if (!*allowed) refusals_.Count(refusals_.exhausted);
  return *allowed;
}

bool KeyedTokenBucket::AllowSlowly(const Request& request, TimePoint now) {
  const std::int64_t n = request.n;
  bool allowed = false;
  bool impossible = false;
  const Found found = WithKey(request, now, [&](KeyedShard& shard, std::uint32_t number) {
    allowed = shard.Allow(number, n);
    impossible = shard.Impossible(number, n);
  });
  if (found.where == Found::Where::kNoRoom) return AllowWithoutRoom(now, n);
  if (found.where == Found::Where::kUnused) {
    impossible = found.Impossible(n);
    allowed = !impossible;
  }
  if (!allowed) refusals_.CountRefused(impossible);
  return allowed;
}

bool KeyedTokenBucket::AllowWithoutRoom(TimePoint now, std::int64_t n) {
  turned_away_.Add(0);
  const WhenFull when_full = this->when_full();
  if (when_full == WhenFull::kRefuse) no_room_.Count(no_room_.exhausted);
  return when_full == WhenFull::kAdmit ||
         (when_full == WhenFull::kShare && shared_->AllowAt(now, n));
}

KeyedTokenBucket::Answer KeyedTokenBucket::Take(TimePoint now, std::string_view key, std::int64_t n,
                                                Duration max_wait, internal::TakenFor whom) {
  std::shared_ptr<internal::Promise> promise;
  TimePoint at = now;
  bool impossible = false;
  const auto in_time = [&] { return internal::InTime(at, now, max_wait); };
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
  if (found.where == Found::Where::kNoRoom) {
    turned_away_.Add(0);
    if (const WhenFull when_full = this->when_full(); when_full != WhenFull::kAdmit) {
      return TakeWithoutRoom(when_full, now, n, max_wait, whom);
    }
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
  const internal::CountedRefusals* const refused = shared.ok() ? nullptr : &refusals_;
  const bool impossible = n > shared_->burst() && shared_->rate() != kInfiniteRate;
  return {std::move(shared), refused, impossible};
}

Reservation KeyedTokenBucket::ReserveAt(TimePoint now, std::string_view key, std::int64_t n,
                                        TimeSpan max_wait) {
  Answer answer = Take(now, key, n, max_wait, internal::TakenFor::kReservation);
  answer.Count();
  return std::move(answer.reservation);
}

absl::Status KeyedTokenBucket::Wait(std::string_view key, std::int64_t n,
                                    const WaitOptions& options) {
  if (n < 0) return refusals_.Count(refusals_.impossible);
  if (options.stop.stop_requested()) return refusals_.Count(refusals_.cancelled);
  const TimePoint now = Now();
  Answer answer =
      Take(now, key, n, SaturatingSub(options.deadline, now), internal::TakenFor::kCall);
  Reservation& reservation = answer.reservation;
  if (const internal::CountedRefusals* const refused = answer.refused) {
    const bool never = reservation.too_late_at() == TimePoint::max();
    return refused->Count(answer.impossible ? refused->impossible
                          : never           ? refused->exhausted
                                            : refused->deadline);
  }
  if (reservation.ready_at() <= now) return absl::OkStatus();
  const bool slept = internal::TokenWait::Sleep(clock_.get(), reservation, options.stop,
                                                [this, key] { Look(Now(), key); });
  return slept ? absl::OkStatus() : refusals_.Count(refusals_.cancelled);
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

void KeyedTokenBucket::ChargeAt(TimePoint now, std::string_view key, std::int64_t n) {
  ThrowIfNegative(n);
  Request request = Prepare(key, n);
  request.over_burst = true;
  const Found found = WithKey(
      request, now, [&](KeyedShard& shard, std::uint32_t number) { shard.Charge(number, n); });
  const bool shares = when_full() == WhenFull::kShare;
  if (found.where == Found::Where::kNoRoom && shares) shared_->ChargeAt(now, n);
  charges_.Charge(n);
}

void KeyedTokenBucket::RefundAt(TimePoint now, std::string_view key, std::int64_t n) {
  ThrowIfNegative(n);
  const std::uint64_t fingerprint = Fingerprint(key);
  KeyedShard& shard = ShardOf(fingerprint);
  const std::lock_guard lock(shard.mutex);
  shard.Observe(now);
  const std::uint32_t number = shard.Find(fingerprint);
  if (number != kNone) shard.Refund(number, n);
  charges_.Refund(n);
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
  return static_cast<double>(internal::CheckedLimits((*limits_for)(key), name_).burst);
}

}  // namespace holdfast
