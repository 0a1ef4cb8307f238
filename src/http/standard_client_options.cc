#include "holdfast/http/standard_client_options.h"

namespace holdfast::http {

// Where one of these fails, the options have got a field that is missing here.
static_assert(sizeof(StandardBulkhead) == sizeof(Semaphore::Options));
static_assert(sizeof(StandardBulkheadQueue) == sizeof(BulkheadOptions));
static_assert(sizeof(StandardBreaker) == sizeof(CircuitBreaker::Options));
static_assert(sizeof(StandardRateLimit) == sizeof(TokenBucket::Options));

StandardBulkhead::operator Semaphore::Options() const {
  return {.limit = limit, .name = name, .clock = clock};
}

StandardBulkheadQueue::operator BulkheadOptions() const {
  return {.max_wait = max_wait,
          .max_queue = max_queue,
          .order = order,
          .controlled_delay = controlled_delay};
}

StandardBreaker::operator CircuitBreaker::Options() const {
  return {.name = name,
          .max_requests = max_requests,
          .interval = interval,
          .bucket_period = bucket_period,
          .last_calls = last_calls,
          .timeout = timeout,
          .open_time = open_time,
          .probe_lease = probe_lease,
          .ramp = ramp,
          .ramp_step = ramp_step,
          .ready_to_trip = ready_to_trip,
          .rules = rules,
          .slow_call = slow_call,
          .on_state_change = on_state_change,
          .classify = classify,
          .clock = clock};
}

StandardRateLimit::operator TokenBucket::Options() const {
  return {.rate = rate, .burst = burst, .name = name, .clock = clock};
}

}  // namespace holdfast::http
