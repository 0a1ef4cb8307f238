#include "holdfast/breaker/circuit_breaker_options.h"

#include <algorithm>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "src/breaker/breaker_window.h"

namespace holdfast {
namespace {

void CheckWindow(internal::OptionsChecker& check, const CircuitBreakerOptions& options) {
  constexpr Duration kZero = Duration::zero();
  const bool rolling = options.bucket_period > kZero;
  check(options.interval >= kZero, "interval must be >= 0");
  check(options.bucket_period >= kZero, "bucket_period must be >= 0");
  check(!rolling || options.interval > kZero, "bucket_period needs interval > 0");
  check(!rolling || internal::RollingWindow::BucketCount(options.interval, options.bucket_period) <=
                        CircuitBreaker::kMaxBuckets,
        "interval / bucket_period must be at most ", CircuitBreaker::kMaxBuckets);
  check(options.last_calls >= 0 && options.last_calls <= CircuitBreaker::kMaxLastCalls,
        "last_calls must be in 0 to ", CircuitBreaker::kMaxLastCalls);
  check(options.last_calls == 0 || options.interval == kZero,
        "interval and last_calls exclude each other: set one of them");
}

}  // namespace

absl::Status Validate(const CircuitBreakerOptions& options) {
  constexpr Duration kZero = Duration::zero();
  internal::OptionsChecker check("CircuitBreaker", options.name);
  check(options.max_requests >= 1, "max_requests must be >= 1");
  CheckWindow(check, options);
  check(options.timeout > kZero, "timeout must be > 0");
  check(options.probe_lease >= kZero, "probe_lease must be >= 0");
  check(std::ranges::all_of(options.ramp, [](double share) { return share > 0 && share <= 1; }),
        "every share in ramp must be in (0, 1]");
  check(options.ramp.empty() || options.ramp_step > kZero, "ramp_step must be > 0");
  check(options.slow_call >= kZero, "slow_call must be >= 0");
  for (const TripRule& rule : options.rules) {
    check(rule.tripped != nullptr, "rule \"", rule.name, "\" has no function");
    check(!rule.needs_slow_call || options.slow_call > kZero, "rule \"", rule.name,
          "\" needs slow_call > 0");
  }
  return check.status();
}

}  // namespace holdfast
