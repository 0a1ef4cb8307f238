// The options of a StandardClient: those of its policies, with defaults that fit each other.
//
//   holdfast::http::StandardClientOptions options{.breaker = {.name = "api"}, .attempt_timeout =
//   2s}; options.shared.budget = budget;
#ifndef HOLDFAST_HTTP_STANDARD_CLIENT_OPTIONS_H_
#define HOLDFAST_HTTP_STANDARD_CLIENT_OPTIONS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

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
#include "holdfast/http/transport.h"
#include "holdfast/rate/token_bucket.h"
#include "holdfast/retry/retry.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/timeout/timeout.h"

namespace holdfast::http {

// The four below have the fields of the options that they convert to, which say what each means.
// Types of their own, because where one field is given the others must keep the defaults of this
// stack and not those of the policy by itself.

struct StandardBulkhead {
  std::int64_t limit = 1000;  // calls at once
  std::string name = {};
  Clock* clock = nullptr;

  operator Semaphore::Options() const;  // NOLINT(google-explicit-constructor)
};

struct StandardBulkheadQueue {
  TimeSpan max_wait = std::chrono::seconds(30);  // as long as the call may take then
  std::int64_t max_queue = 0;                    // those beyond the limit are refused
  QueueOrder order = QueueOrder::kOldestFirst;
  std::optional<ControlledDelay> controlled_delay = std::nullopt;

  operator BulkheadOptions() const;  // NOLINT(google-explicit-constructor)
};

// For another kind of window both of these must be zero: {.interval = 0s, .bucket_period = 0s,
// .last_calls = 100}.
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
  double rate = kInfiniteRate;  // attempts per second
  std::int64_t burst = kBurstOfOneSecond;
  std::string name = {};
  Clock* clock = nullptr;

  operator TokenBucket::Options() const;  // NOLINT(google-explicit-constructor)
};

// What a StandardClient counts with. One given to several of them, or to stacks of your own, is
// shared by all of those.
struct StandardObjects {
  std::shared_ptr<Semaphore> semaphore = nullptr;
  std::shared_ptr<RetryBudget> budget = nullptr;
  std::shared_ptr<CircuitBreaker> breaker = nullptr;
  std::shared_ptr<TokenBucket> bucket = nullptr;
};

// The options of its policies without an object, which it makes; none is null. To change them while
// calls run: see settings.h.
struct StandardSettings {
  std::shared_ptr<Settings<BulkheadOptions>> bulkhead_queue;
  std::shared_ptr<Settings<TimeoutOptions>> total_timeout;
  std::shared_ptr<Settings<RetryOptions>> retry;
  std::shared_ptr<Settings<TimeoutOptions>> attempt_timeout;
};

// The policies, outermost first, and what they begin with. The order, the limit and the total time
// are those of Microsoft.Extensions.Http.Resilience (AddStandardResilienceHandler); an attempt has
// half as long as there, so that all four fit into the total.
struct StandardClientOptions {
  StandardBulkhead bulkhead = {};                     // 1000 calls at once;
  StandardBulkheadQueue bulkhead_queue = {};          // others are refused
  TimeSpan total_timeout = std::chrono::seconds(30);  // of a call that was let in
  RetryOptions retry = {};                            // 4 attempts, within a budget of its own
  std::function<RetryDecision(const Call&, const absl::StatusOr<httplib::Response>&)> retry_check =
      nullptr;                   // null: the rules of retry.h
  StandardBreaker breaker = {};  // of attempts: half of the last 30 s fail, or 10 in a row; for 5 s
  TimeSpan attempt_timeout = std::chrono::seconds(5);
  StandardRateLimit rate_limit = {};  // of attempts: any
  TransportOptions transport = {};
  // Each that is given takes the place of one made of the options above: of `limiter`, of
  // `retry.budget`, of `breaker`, of `rate`.
  StandardObjects shared = {};
  Clock* clock = nullptr;  // of all of it but the network; null: SteadyClock()
};

// Refuses what the Validate of a policy's own options does, and with that of the whole stack what
// does not fit together: attempts that take longer than the total, say.
absl::Status Validate(const StandardClientOptions& options);

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_STANDARD_CLIENT_OPTIONS_H_
