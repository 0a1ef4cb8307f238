#include "holdfast/retry_budget.h"

#include <absl/strings/str_cat.h>

#include <cmath>

#include "holdfast/internal/validate.h"

namespace holdfast {

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
  for (const double cost : {options.throttled, options.timed_out}) {
    if (!(cost >= 0 && cost <= 100)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "RetryBudget ", options.name, ": what a retry costs must be in [0, 100], not ", cost));
    }
  }
  return absl::OkStatus();
}

RetryBudget::RetryBudget(Options options) : name_(options.name) {
  internal::ThrowIfInvalid(Validate(options));
  const auto amount = [](double retries) {
    return static_cast<std::int64_t>(std::llround(retries * static_cast<double>(kOneRetry)));
  };
  capacity_ = options.capacity * kOneRetry;
  deposit_ = amount(options.per_success);
  costs_ = {kOneRetry, amount(options.throttled), amount(options.timed_out)};
  balance_.store(capacity_, std::memory_order_relaxed);
}

std::shared_ptr<RetryBudget> RetryBudget::Default() {
  return std::make_shared<RetryBudget>(Options{});
}

bool RetryBudget::TryWithdraw(RetryClass why) {
  const std::int64_t cost = CostOf(why);
  std::int64_t balance = balance_.load(std::memory_order_relaxed);
  while (balance >= cost) {
    if (balance_.compare_exchange_weak(balance, balance - cost, std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

double RetryBudget::balance() const {
  return static_cast<double>(balance_.load(std::memory_order_relaxed)) /
         static_cast<double>(kOneRetry);
}

}  // namespace holdfast
