// What changes a KeyedTokenBucket while calls run: its options and limits.
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/rate/keyed_token_bucket.h"
#include "src/rate/bucket_limits.h"
#include "src/rate/keyed_limits.h"
#include "src/rate/keyed_shard.h"

namespace holdfast {
namespace {

using internal::CheckedLimits;
using internal::InTokens;
using internal::KeyedShard;
using internal::KeyTable;

constexpr double kMaxKeyedRate = 1e9;

internal::BucketLimits LimitsOf(const KeyedTokenBucket::Limits& limits, const std::string& name) {
  return {.type = "KeyedTokenBucket",
          .name = name,
          .rate = limits.rate,
          .burst = limits.burst,
          .max_rate = kMaxKeyedRate};
}

// Whether any key goes by Options::limits.
bool UsesLimits(const KeyedTokenBucket::Options& options) {
  return options.limits_for == nullptr || options.when_full == KeyedTokenBucket::WhenFull::kShare;
}

// What options() gives for a function: so that it is known again.
struct SharedFunction {
  KeyedShard::LimitsFor function;

  KeyedTokenBucket::Limits operator()(std::string_view key) const { return (*function)(key); }
};

}  // namespace

namespace internal {

KeyedTokenBucket::Limits InTokens(const KeyedTokenBucket::Limits& limits) {
  return {.rate = limits.rate, .burst = BurstOf(limits.rate, limits.burst)};
}

KeyedTokenBucket::Limits CheckedLimits(const KeyedTokenBucket::Limits& limits,
                                       const std::string& name) {
  ThrowIfInvalid(CheckChange(LimitsOf(limits, name)));
  return InTokens(limits);
}

KeyedShard::LimitsFor SharedLimits(KeyedTokenBucket::LimitsFor limits_for) {
  if (limits_for == nullptr) return nullptr;
  if (const auto* const known = limits_for.target<SharedFunction>()) return known->function;
  return std::make_shared<const KeyedTokenBucket::LimitsFor>(std::move(limits_for));
}

}  // namespace internal

absl::Status Validate(const KeyedTokenBucket::Options& options) {
  const internal::BucketLimits limits = LimitsOf(options.limits, options.name);
  internal::OptionsChecker check("KeyedTokenBucket", options.name);
  check(options.max_keys >= 1 && options.max_keys <= KeyTable::kMaxKeys,
        "max_keys must be in [1, 2^30], not ", options.max_keys);
  check(UsesLimits(options) ? internal::CheckOptions(limits) : internal::CheckRange(limits));
  return check.status();
}

void KeyedTokenBucket::SetLimitsAt(TimePoint now, const Limits& limits, TokenCarryOver carry_over) {
  const Limits checked = CheckedLimits(limits, name_);
  KeyedShard::LimitsFor replaced;
  const std::lock_guard setting(setting_);
  replaced =
      SetLimitsOfAll(now, [&](KeyedShard& shard) { return shard.SetLimits(checked, carry_over); });
  shared_->SetLimitsAt(now, checked.rate, checked.burst, carry_over);
}

void KeyedTokenBucket::SetLimitsAt(TimePoint now, LimitsFor limits_for, TokenCarryOver carry_over) {
  internal::OptionsChecker check("KeyedTokenBucket", name_);
  check(limits_for != nullptr, "the function for limits is null");
  internal::ThrowIfInvalid(check.status());
  const auto shared = internal::SharedLimits(std::move(limits_for));
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
  internal::OptionsChecker check("KeyedTokenBucket", name_);
  check(internal::KeepNameAndValidate("KeyedTokenBucket", name_, clock_.given(), options));
  check(options.max_keys == max_keys_, "max_keys cannot change from ", max_keys_, " to ",
        options.max_keys, ": the tables are made for it");
  if (!check.status().ok()) return check.status();
  return [this, limits = InTokens(options.limits), when_full = options.when_full,
          limits_for = internal::SharedLimits(std::move(options.limits_for))] {
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

}  // namespace holdfast
