// How a request finds its key in a KeyedTokenBucket, or room for it.
#ifndef HOLDFAST_SRC_RATE_KEYED_REQUEST_H_
#define HOLDFAST_SRC_RATE_KEYED_REQUEST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

#include "holdfast/rate/keyed_token_bucket.h"
#include "src/rate/keyed_limits.h"
#include "src/rate/keyed_shard.h"
#include "src/rate/secret_hash.h"

namespace holdfast {

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
  bool Find(internal::KeyedShard& shard) {
    std::int64_t size = bucket_.size_.load(std::memory_order_relaxed);
    while (!held_ && size < bucket_.max_keys_) {
      held_ = bucket_.size_.compare_exchange_weak(size, size + 1, std::memory_order_relaxed);
    }
    return held_ || FindIn(shard);
  }
  // Or of any other; none is locked.
  bool FindElsewhere(TimePoint now) {
    for (std::size_t i = 0; !held_ && i <= bucket_.shard_mask_; ++i) {
      internal::KeyedShard& shard = bucket_.shards_[i];
      if (shard.earliest() > now) continue;
      const std::lock_guard lock(shard.mutex);
      shard.Observe(now);
      FindIn(shard);
    }
    return held_;
  }
  void MoveIn() { held_ = false; }

 private:
  bool FindIn(internal::KeyedShard& shard) { return held_ = held_ || shard.Evict(); }

  KeyedTokenBucket& bucket_;
  bool held_ = false;
};

struct KeyedTokenBucket::Request {
  internal::KeyedShard& shard;
  std::uint64_t fingerprint;
  std::string_view key;
  std::int64_t n;
  bool over_burst = false;  // takes them all the same

  bool NeedsRoom(const Limits& limits) const {
    return n > 0 && (over_burst || n <= limits.burst) && !internal::Infinite(limits);
  }
};

struct KeyedTokenBucket::Found {
  enum class Where { kInUse, kUnused, kNoRoom };

  Where where;
  Limits limits = {};  // of a key that isn't in use

  bool Impossible(std::int64_t n) const {
    return n < 0 || (n > limits.burst && !internal::Infinite(limits));
  }
};

inline std::uint64_t KeyedTokenBucket::Fingerprint(std::string_view key) const {
  return internal::SecretHash::Of(key, secret_);
}

// By bits that a shard's own table uses least.
inline internal::KeyedShard& KeyedTokenBucket::ShardOf(std::uint64_t fingerprint) const {
  return shards_[(fingerprint >> 32) & shard_mask_];
}

inline KeyedTokenBucket::Request KeyedTokenBucket::Prepare(std::string_view key,
                                                           std::int64_t n) const {
  const std::uint64_t fingerprint = Fingerprint(key);
  internal::KeyedShard& shard = ShardOf(fingerprint);
  shard.Prefetch(fingerprint);
  return {.shard = shard, .fingerprint = fingerprint, .key = key, .n = n};
}

// Calls `use(shard, number)` with the shard locked, on the key, if it is in use or there is room
// for it. Goes round once more for what must be done with nothing locked.
template <class Use>
KeyedTokenBucket::Found KeyedTokenBucket::WithKey(const Request& request, TimePoint now, Use use) {
  internal::KeyedShard& shard = request.shard;
  Room room(*this);
  Limits limits;
  std::optional<std::uint64_t> settings;  // of the shard, that gave them
  for (;;) {
    std::unique_lock lock(shard.mutex);
    shard.Observe(now);
    const std::uint32_t number = shard.Find(request.fingerprint);
    const bool settled = number != internal::kNone && shard.Settled(number);
    if (!settled && settings != shard.settings()) {
      settings = shard.settings();
      limits = shard.limits();
      if (const internal::KeyedShard::LimitsFor limits_for = shard.limits_for()) {
        lock.unlock();
        limits = internal::CheckedLimits((*limits_for)(request.key), name_);
        continue;
      }
    }
    if (number != internal::kNone) {
      if (!settled) shard.Settle(number, limits);
      use(shard, number);
      return {.where = Found::Where::kInUse};
    }
    // The answer that nothing limits a key is worth some room, if there is any.
    const bool wants_room = internal::Infinite(limits) && shard.limits_for() != nullptr;
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
  internal::KeyedShard& shard = request.shard;
  const std::uint32_t number = shard.Insert(request.fingerprint, limits);
  try {
    use(shard, number);
  } catch (...) {
    shard.Erase(number);
    throw;
  }
  shard.Enqueue(number);
}

}  // namespace holdfast

#endif  // HOLDFAST_SRC_RATE_KEYED_REQUEST_H_
