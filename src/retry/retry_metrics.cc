// What a registry of metrics is told of the objects of Retry.
#include <algorithm>

#include "holdfast/retry/retry_budget.h"
#include "holdfast/retry/retry_pause.h"
#include "src/call/metric_names.h"

namespace holdfast {
namespace {

constexpr Metric kBudgetBalance = {.name = "holdfast.retry_budget.balance",
                                   .type = MetricType::kGauge,
                                   .unit = "{retry}",
                                   .help = "Retries that the budget has left"};
constexpr Metric kBudgetCapacity = {.name = "holdfast.retry_budget.capacity",
                                    .type = MetricType::kGauge,
                                    .unit = "{retry}",
                                    .help = "Retries that the budget can hold"};
constexpr Metric kBudgetWithdrawals = {
    .name = "holdfast.retry_budget.withdrawals",
    .type = MetricType::kCounter,
    .unit = "{retry}",
    .help = "Retries that the budget allowed, refunded ones included"};
constexpr Metric kBudgetExhausted = {.name = "holdfast.retry_budget.exhausted",
                                     .type = MetricType::kCounter,
                                     .unit = "{retry}",
                                     .help = "Retries that the budget did not allow"};

constexpr Metric kPauseRemaining = {.name = "holdfast.retry_pause.remaining",
                                    .type = MetricType::kGauge,
                                    .unit = "s",
                                    .help = "Time until the pause ends"};
constexpr Metric kPauseExtensions = {
    .name = "holdfast.retry_pause.extensions",
    .type = MetricType::kCounter,
    .unit = "{extension}",
    .help = "Times that a Retry-After began the pause or made it longer"};

}  // namespace

void RetryBudget::Collect(Collector& collector) const {
  if (unlimited_) return;
  collector.Gauge(kBudgetBalance, balance());
  collector.Gauge(kBudgetCapacity,
                  static_cast<double>(capacity()) / static_cast<double>(kOneRetry));
  collector.Count(kBudgetWithdrawals, totals_.Sum(kWithdrawn));
  collector.Count(kBudgetExhausted, totals_.Sum(kExhausted));
}

void RetryPause::Collect(Collector& collector) const {
  const Duration remaining = std::max(SaturatingSub(until(), clock_.Now()), Duration::zero());
  collector.Gauge(kPauseRemaining, internal::InSeconds(remaining));
  collector.Count(kPauseExtensions, extensions_.load(std::memory_order_relaxed));
}

}  // namespace holdfast
