// A key's bucket in one decision with others: see several_buckets.h.
#include <cstdint>
#include <optional>
#include <string_view>

#include "holdfast/rate/keyed_token_bucket.h"
#include "src/rate/keyed_request.h"
#include "src/rate/keyed_shard.h"
#include "src/rate/several_buckets.h"
#include "src/rate/token_wait.h"

namespace holdfast {

using internal::KeyedShard;

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
  const internal::CountedRefusals& refusals() const override { return bucket_.refusals_; }

 private:
  KeyedTokenBucket& bucket_;
  KeyedShard& shard_;
  std::uint32_t key_;
};

std::optional<KeyedTokenBucket::Answer> KeyedTokenBucket::Together(
    TimePoint now, std::string_view key, std::int64_t n, bool comes,
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
  if (found.where == Found::Where::kNoRoom && comes) turned_away_.Add(0);
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

}  // namespace holdfast
