#include "holdfast/breaker/circuit_breaker_options.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>

#include "holdfast/breaker/circuit_breaker.h"
#include "src/breaker/breaker_window.h"

namespace holdfast {
namespace {

std::string WhatIsWrongWithTheWindow(const CircuitBreakerOptions& options) {
  constexpr Duration kZero = Duration::zero();
  if (options.interval < kZero) return "interval must be >= 0";
  if (options.bucket_period < kZero) return "bucket_period must be >= 0";
  if (options.bucket_period > kZero && options.interval == kZero) {
    return "bucket_period needs interval > 0";
  }
  if (options.bucket_period > kZero &&
      internal::RollingWindow::BucketCount(options.interval, options.bucket_period) >
          CircuitBreaker::kMaxBuckets) {
    return absl::StrCat("interval / bucket_period must be at most ", CircuitBreaker::kMaxBuckets);
  }
  if (options.last_calls < 0 || options.last_calls > CircuitBreaker::kMaxLastCalls) {
    return absl::StrCat("last_calls must be in 0 to ", CircuitBreaker::kMaxLastCalls);
  }
  if (options.last_calls > 0 && options.interval > kZero) {
    return "interval and last_calls exclude each other: set one of them";
  }
  return "";
}

std::string WhatIsWrong(const CircuitBreakerOptions& options) {
  constexpr Duration kZero = Duration::zero();
  if (options.max_requests < 1) return "max_requests must be >= 1";
  if (std::string wrong = WhatIsWrongWithTheWindow(options); !wrong.empty()) return wrong;
  if (options.timeout <= kZero) return "timeout must be > 0";
  if (options.probe_lease < kZero) return "probe_lease must be >= 0";
  if (!std::ranges::all_of(options.ramp, [](double share) { return share > 0 && share <= 1; })) {
    return "every share in ramp must be in (0, 1]";
  }
  if (!options.ramp.empty() && options.ramp_step <= kZero) return "ramp_step must be > 0";
  if (options.slow_call < kZero) return "slow_call must be >= 0";
  for (const TripRule& rule : options.rules) {
    if (rule.tripped == nullptr) return absl::StrCat("rule \"", rule.name, "\" has no function");
    if (rule.needs_slow_call && options.slow_call == kZero) {
      return absl::StrCat("rule \"", rule.name, "\" needs slow_call > 0");
    }
  }
  return "";
}

}  // namespace

absl::Status Validate(const CircuitBreakerOptions& options) {
  const std::string wrong = WhatIsWrong(options);
  if (wrong.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("CircuitBreaker ", options.name, ": ", wrong));
}

}  // namespace holdfast
