#include "holdfast/retry_budget.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <limits>
#include <utility>

#include "holdfast/internal/validate.h"

namespace holdfast {
namespace {

__extension__ using Uint128 = unsigned __int128;

constexpr std::int64_t kSecond = 1'000'000'000;  // in nanoseconds

}  // namespace

absl::Status Validate(const RetryBudget::Options& options) {
  if (options.capacity < 0 || options.capacity > RetryBudget::kMaxCapacity) {
    return absl::InvalidArgumentError(absl::StrCat(
        "RetryBudget ", options.name, ": capacity must be in [0, 1e9], not ", options.capacity));
  }
  if (!(options.per_success >= 0 && options.per_success <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("RetryBudget ", options.name,
                                                   ": per_success must be in [0, 1], not ",
                                                   options.per_success));
  }
  if (!(options.min_retries_per_second >= 0 && options.min_retries_per_second <= 1e6)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "RetryBudget ", options.name, ": min_retries_per_second must be in [0, 1e6], not ",
        options.min_retries_per_second));
  }
  for (const double cost : {options.throttled, options.timed_out}) {
    if (!(cost >= 0 && cost <= 100)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "RetryBudget ", options.name, ": what a retry costs must be in [0, 100], not ", cost));
    }
  }
  return absl::OkStatus();
}

RetryBudget::RetryBudget(Options options) : clock_(options.clock) {
  internal::ThrowIfInvalid(Validate(options));
  name_ = std::move(options.name);
  const auto amount = [](double retries) {
    return static_cast<std::int64_t>(std::llround(retries * static_cast<double>(kOneRetry)));
  };
  capacity_ = options.capacity * kOneRetry;
  deposit_ = amount(options.per_success);
  per_second_ = amount(options.min_retries_per_second);
  costs_ = {kOneRetry, amount(options.throttled), amount(options.timed_out)};
  balance_.store(capacity_, std::memory_order_relaxed);
  earned_until_.store(TimePoint::min().time_since_epoch().count(), std::memory_order_relaxed);
}

std::shared_ptr<RetryBudget> RetryBudget::Default() {
  return std::make_shared<RetryBudget>(Options{});
}

// Nothing costs anything, so there is nothing to earn.
std::shared_ptr<RetryBudget> RetryBudget::Unlimited() {
  auto budget = std::make_shared<RetryBudget>(Options{.capacity = 0,
                                                      .per_success = 0,
                                                      .min_retries_per_second = 0,
                                                      .throttled = 0,
                                                      .timed_out = 0});
  budget->costs_ = {};
  budget->unlimited_ = true;
  return budget;
}

bool RetryBudget::TryWithdraw(RetryClass why) {
  return TryWithdrawAt(per_second_ == 0 ? TimePoint::min() : clock_.Now(), why);
}

bool RetryBudget::TryWithdrawAt(TimePoint now, RetryClass why) {
  const std::int64_t cost = CostOf(why);
  if (cost == 0) return true;
  if (per_second_ != 0) Earn(now);
  std::int64_t balance = balance_.load(std::memory_order_relaxed);
  while (balance >= cost) {
    if (balance_.compare_exchange_weak(balance, balance - cost, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

// Whole millionths, and the time that they took, rounded up by less than a nanosecond: the rest is
// earned later.
RetryBudget::Earned RetryBudget::EarnedBy(TimePoint now, TimePoint since) const {
  if (per_second_ == 0 || now <= since || since == TimePoint::min()) return {};
  const Duration passed = SaturatingSub(now, since);
  const auto rate = static_cast<Uint128>(per_second_);
  const Uint128 amount = rate * static_cast<std::uint64_t>(passed.count()) / kSecond;
  if (amount >= static_cast<std::uint64_t>(capacity_)) return {capacity_, passed};
  return {static_cast<std::int64_t>(amount),
          Duration(static_cast<Duration::rep>((amount * kSecond + rate - 1) / rate))};
}

void RetryBudget::Earn(TimePoint now) {
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

double RetryBudget::balance() const {
  return BalanceAt(per_second_ == 0 ? TimePoint::min() : clock_.Now());
}

double RetryBudget::BalanceAt(TimePoint now) const {
  if (unlimited_) return std::numeric_limits<double>::infinity();
  const TimePoint since{Duration(earned_until_.load(std::memory_order_relaxed))};
  const std::int64_t balance = balance_.load(std::memory_order_relaxed);
  return static_cast<double>(std::min(capacity_, balance + EarnedBy(now, since).amount)) /
         static_cast<double>(kOneRetry);
}

}  // namespace holdfast
