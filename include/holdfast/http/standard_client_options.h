// The options of a StandardClient: the options of its policies, with defaults that fit together.
//
//   holdfast::http::StandardClientOptions options{.breaker = {.name = "api"},
//                                                 .attempt_timeout = 2s};
//   options.shared.budget = budget;
#ifndef HOLDFAST_HTTP_STANDARD_CLIENT_OPTIONS_H_
#define HOLDFAST_HTTP_STANDARD_CLIENT_OPTIONS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/base/settings.h"
#include "holdfast/base/time.h"
#include "holdfast/breaker/breaker_state.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/trip_rule.h"
#include "holdfast/call/call.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/http/message.h"
#include "holdfast/http/redirect.h"
#include "holdfast/http/transport.h"
#include "holdfast/rate/token_bucket.h"
#include "holdfast/retry/retry.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/timeout/timeout.h"

namespace holdfast::http {

// The four structs below have the fields of the options that they convert to, which document them.
// They are types of their own so that a field that is not set has the default of this client, not
// the default of the policy.

struct StandardBulkhead {
  std::int64_t limit = 1000;  // concurrent calls, >= 1
  std::string name = {};
  Clock* clock = nullptr;

  operator Semaphore::Options() const;  // NOLINT(google-explicit-constructor)
};

struct StandardBulkheadQueue {
  TimeSpan max_wait = std::chrono::seconds(30);  // in the queue; the default is total_timeout's
  std::int64_t max_queue = 0;                    // 0: a call beyond the limit is rejected at once
  QueueOrder order = QueueOrder::kOldestFirst;
  std::optional<ControlledDelay> controlled_delay = std::nullopt;

  operator BulkheadOptions() const;  // NOLINT(google-explicit-constructor)
};

// The window is the last 30 s in buckets of 3 s. To count the last n calls instead, set the other
// two fields to zero: {.interval = 0s, .bucket_period = 0s, .last_calls = 100}.
struct StandardBreaker {
  std::string name = {};
  std::int64_t max_requests = 1;
  TimeSpan interval = std::chrono::seconds(30);
  TimeSpan bucket_period = std::chrono::seconds(3);
  std::int64_t last_calls = 0;
  TimeSpan timeout = std::chrono::seconds(5);
  std::function<TimeSpan(std::uint64_t openings)> open_time = {};
  TimeSpan probe_lease{0};
  std::vector<double> ramp = {};
  TimeSpan ramp_step = std::chrono::seconds(10);
  std::function<bool(const BreakerCounts&)> ready_to_trip = {};
  std::vector<TripRule> rules = {ConsecutiveFailures(10), FailureRate(0.5, 20)};
  TimeSpan slow_call{0};
  std::function<void(std::string_view name, BreakerState from, BreakerState to)> on_state_change =
      {};
  std::function<Outcome(const absl::Status&)> classify = {};
  Clock* clock = nullptr;

  operator CircuitBreaker::Options() const;  // NOLINT(google-explicit-constructor)
};

struct StandardRateLimit {
  double rate = kInfiniteRate;             // attempts per second, > 0; the default is no limit
  std::int64_t burst = kBurstOfOneSecond;  // attempts at once, >= 1
  std::string name = {};
  Clock* clock = nullptr;

  operator TokenBucket::Options() const;  // NOLINT(google-explicit-constructor)
};

// The policy objects of a StandardClient. Clients and stacks that are given the same object share
// it.
struct StandardObjects {
  std::shared_ptr<Semaphore> semaphore = nullptr;
  std::shared_ptr<RetryBudget> budget = nullptr;
  std::shared_ptr<CircuitBreaker> breaker = nullptr;
  std::shared_ptr<TokenBucket> bucket = nullptr;
};

// The settings of the policies that have no object. The client makes them; none is null.
// base/settings.h says how to change them while calls run.
struct StandardSettings {
  std::shared_ptr<Settings<BulkheadOptions>> bulkhead_queue;
  std::shared_ptr<Settings<TimeoutOptions>> total_timeout;
  std::shared_ptr<Settings<RetryOptions>> retry;
  std::shared_ptr<Settings<TimeoutOptions>> attempt_timeout;
};

// The policies, outermost first. The order, the limit and the total timeout are those of
// Microsoft.Extensions.Http.Resilience (AddStandardResilienceHandler). The attempt timeout is half
// of theirs, so that all four attempts fit into the total timeout.
struct StandardClientOptions {
  StandardBulkhead bulkhead = {};                     // 1000 concurrent calls
  StandardBulkheadQueue bulkhead_queue = {};          // none: a call beyond the limit is rejected
  TimeSpan total_timeout = std::chrono::seconds(30);  // of an admitted call with its retries; > 0
  RetryOptions retry = {};                            // 4 attempts, within this client's own budget
  std::function<RetryDecision(const Call&, const absl::StatusOr<Response>&)> retry_check =
      nullptr;  // null: the rules of retry.h
  // Counts attempts. Opens for 5 s when half of at least 20 attempts in 30 s fail, or 10 in a row.
  StandardBreaker breaker = {};
  TimeSpan attempt_timeout = std::chrono::seconds(5);  // > 0
  StandardRateLimit rate_limit = {};                   // of attempts; none
  TransportOptions transport = {};
  // None is followed. {} follows up to 10. They are followed outside of the policies: each hop is a
  // call through all of them, with a total_timeout of its own; With bounds them together.
  RedirectOptions redirects = {.max_redirects = 0};
  // An object that is set replaces the one that `bulkhead`, `retry.budget`, `breaker` or
  // `rate_limit` would make.
  StandardObjects shared = {};
  Clock* clock =
      nullptr;  // of the policies; the network uses the steady clock. null: SteadyClock()
};

// kInvalidArgument if the options of a policy are invalid by themselves, or contradict each other,
// for example if an attempt may take longer than the total timeout. The text says which.
absl::Status Validate(const StandardClientOptions& options);

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_STANDARD_CLIENT_OPTIONS_H_
