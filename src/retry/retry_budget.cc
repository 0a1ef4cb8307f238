#include "holdfast/retry/retry_budget.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "holdfast/base/internal/int128.h"
#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {
namespace {

using internal::Uint128;

constexpr std::int64_t kSecond = 1'000'000'000;  // in nanoseconds

bool Same(const RetryBudget::Options& a, const RetryBudget::Options& b) {
  return a.capacity == b.capacity && a.per_success == b.per_success &&
         a.min_retries_per_second == b.min_retries_per_second && a.throttled == b.throttled &&
         a.timed_out == b.timed_out;
}

}  // namespace

absl::Status Validate(const RetryBudget::Options& options) {
  internal::OptionsChecker check("RetryBudget", options.name);
  check(options.capacity >= 0 && options.capacity <= RetryBudget::kMaxCapacity,
        "capacity must be in [0, 1e9], not ", options.capacity);
  check(options.per_success >= 0 && options.per_success <= 1, "per_success must be in [0, 1], not ",
        options.per_success);
  check(options.min_retries_per_second >= 0 && options.min_retries_per_second <= 1e6,
        "min_retries_per_second must be in [0, 1e6], not ", options.min_retries_per_second);
  check(options.throttled >= 0 && options.throttled <= 100, "throttled must be in [0, 100], not ",
        options.throttled);
  check(options.timed_out >= 0 && options.timed_out <= 100, "timed_out must be in [0, 100], not ",
        options.timed_out);
  return check.status();
}

RetryBudget::RetryBudget(Options options)
    : options_(internal::Validated(std::move(options))),
      name_(options_.name),
      clock_(options_.clock) {
  SetAmounts(options_);
  balance_.store(capacity(), std::memory_order_relaxed);
  earned_until_.store(TimePoint::min().time_since_epoch().count(), std::memory_order_relaxed);
}

void RetryBudget::SetAmounts(const Options& options) {
  const auto amount = [](double retries) {
    return static_cast<std::int64_t>(std::llround(retries * static_cast<double>(kOneRetry)));
  };
  capacity_.store(options.capacity * kOneRetry, std::memory_order_release);
  deposit_.store(amount(options.per_success), std::memory_order_relaxed);
  per_second_.store(amount(options.min_retries_per_second), std::memory_order_release);
  const std::int64_t costs[] = {kOneRetry, amount(options.throttled), amount(options.timed_out)};
  for (std::size_t i = 0; i < costs_.size(); ++i) {
    costs_[i].store(costs[i], std::memory_order_relaxed);
  }
}

std::shared_ptr<RetryBudget> RetryBudget::MakeDefault() {
  return std::make_shared<RetryBudget>(Options{});
}

// No retry costs anything, so nothing needs to be deposited.
std::shared_ptr<RetryBudget> RetryBudget::Unlimited() {
  auto budget = std::make_shared<RetryBudget>(Options{.capacity = 0,
                                                      .per_success = 0,
                                                      .min_retries_per_second = 0,
                                                      .throttled = 0,
                                                      .timed_out = 0});
  budget->costs_[static_cast<std::size_t>(RetryCause::kTransient)].store(0,
                                                                         std::memory_order_relaxed);
  budget->unlimited_ = true;
  return budget;
}

bool RetryBudget::TryWithdraw(RetryCause why) {
  return TryWithdrawAt(per_second() == 0 ? TimePoint::min() : clock_.Now(), why);
}

bool RetryBudget::TryWithdrawAt(TimePoint now, RetryCause why) {
  const bool withdrawn = Withdraw(now, why);
  totals_.Add(withdrawn ? kWithdrawn : kExhausted);
  return withdrawn;
}

bool RetryBudget::Withdraw(TimePoint now, RetryCause why) {
  const std::int64_t cost = CostOf(why);
  if (cost == 0) return true;
  Earn(now);
  std::int64_t balance = balance_.load(std::memory_order_relaxed);
  for (;;) {
    const std::int64_t usable = std::min(balance, capacity());
    if (usable < cost) return false;
    if (balance_.compare_exchange_weak(balance, usable - cost, std::memory_order_relaxed)) {
      return true;
    }
  }
}

// Whole millionths of a retry, and the time that deposits them, rounded up by less than a
// nanosecond; the remaining time counts for the next deposit.
RetryBudget::Earned RetryBudget::EarnedBy(TimePoint now, TimePoint since) const {
  const std::int64_t per_second = this->per_second();
  if (per_second == 0 || now <= since || since == TimePoint::min()) return {};
  const Duration passed = SaturatingSub(now, since);
  const auto rate = static_cast<Uint128>(per_second);
  const Uint128 amount = rate * static_cast<std::uint64_t>(passed.count()) / kSecond;
  const std::int64_t most = capacity();
  if (amount >= static_cast<std::uint64_t>(most)) return {most, passed};
  return {static_cast<std::int64_t>(amount),
          Duration(static_cast<Duration::rep>((amount * kSecond + rate - 1) / rate))};
}

void RetryBudget::Add(std::int64_t amount) {
  const std::int64_t most = capacity();
  std::int64_t balance = balance_.load(std::memory_order_relaxed);
  while (balance < most &&
         !balance_.compare_exchange_weak(balance, std::min(most, balance + amount),
                                         std::memory_order_relaxed)) {
  }
}

void RetryBudget::Earn(TimePoint now) {
  if (per_second() == 0) return;
  TimePoint::rep until = earned_until_.load(std::memory_order_relaxed);
  for (;;) {
    const TimePoint since{Duration(until)};
    const bool first = since == TimePoint::min();
    const Earned earned = EarnedBy(now, since);
    if (earned.amount == 0 && !first) return;
    const TimePoint next = first ? now : SaturatingAdd(since, earned.took);
    if (earned_until_.compare_exchange_weak(until, next.time_since_epoch().count(),
                                            std::memory_order_relaxed)) {
      return Add(earned.amount);
    }
  }
}

RetryBudget::Options RetryBudget::options() const {
  const std::lock_guard lock(mutex_);
  Options options = options_;
  options.clock = clock_.given();
  return options;
}

absl::StatusOr<internal::Commit> RetryBudget::PrepareUpdate(Options options) {
  if (unlimited_) {
    return absl::InvalidArgumentError("RetryBudget: an Unlimited budget has no options to update");
  }
  if (absl::Status status =
          internal::KeepNameAndValidate("RetryBudget", name_, clock_.given(), options);
      !status.ok()) {
    return status;
  }
  return [this, options = std::move(options)]() mutable { Change(std::move(options)); };
}

void RetryBudget::Change(Options options) {
  const std::lock_guard lock(mutex_);
  if (Same(options, options_)) return;
  SettleAt(clock_.Now());
  std::int64_t balance = balance_.load(std::memory_order_relaxed);
  while (balance > capacity() &&
         !balance_.compare_exchange_weak(balance, capacity(), std::memory_order_relaxed)) {
  }
  SetAmounts(options);
  options_ = std::move(options);
}

// Deposits for the time until now at the present rate. Also for a full balance, which had not
// moved earned_until_: so that no later rate applies to that time.
void RetryBudget::SettleAt(TimePoint now) {
  Earn(now);
  TimePoint::rep until = earned_until_.load(std::memory_order_relaxed);
  const TimePoint::rep present = now.time_since_epoch().count();
  while (until < present &&
         !earned_until_.compare_exchange_weak(until, present, std::memory_order_relaxed)) {
  }
}

double RetryBudget::balance() const {
  return BalanceAt(per_second() == 0 ? TimePoint::min() : clock_.Now());
}

double RetryBudget::BalanceAt(TimePoint now) const {
  if (unlimited_) return std::numeric_limits<double>::infinity();
  const TimePoint since{Duration(earned_until_.load(std::memory_order_relaxed))};
  const std::int64_t balance = balance_.load(std::memory_order_relaxed);
  return static_cast<double>(std::min(capacity(), balance + EarnedBy(now, since).amount)) /
         static_cast<double>(kOneRetry);
}

}  // namespace holdfast
