// StandardStack is a client of one origin with the policies that most services want around it.
//
//   const holdfast::http::StandardStack orders("http://localhost:8080");
//   absl::StatusOr<httplib::Response> response = orders(request);
//
//   const holdfast::http::StandardStack quotes(
//       "http://localhost:8081",
//       {.total_timeout = 2s, .attempt_timeout = 400ms, .rate = {.rate = 100, .burst = 20}});
#ifndef HOLDFAST_HTTP_STANDARD_STACK_H_
#define HOLDFAST_HTTP_STANDARD_STACK_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/bulkhead.h"
#include "holdfast/call.h"
#include "holdfast/circuit_breaker.h"
#include "holdfast/http/transport.h"
#include "holdfast/retry.h"
#include "holdfast/semaphore.h"
#include "holdfast/time.h"
#include "holdfast/token_bucket.h"
#include "holdfast/trip_rule.h"

namespace holdfast::http {

// The policies, outermost first, and what they begin with. The order, the limit and the total time
// are those of Microsoft.Extensions.Http.Resilience (AddStandardResilienceHandler); an attempt has
// half as long as there, so that all four fit into the total.
struct StandardOptions {
  Semaphore::Options limiter = {.limit = 1000};       // calls at once;
  BulkheadOptions queue = {.max_queue = 0};           // others are refused
  Duration total_timeout = std::chrono::seconds(30);  // of a call that was let in
  RetryOptions retry = {};                            // 4 attempts, within a budget
  std::function<RetryDecision(const Call&, const absl::StatusOr<httplib::Response>&)> check =
      nullptr;  // null: the rules of retry.h
  CircuitBreaker::Options breaker = {.interval = std::chrono::seconds(30),
                                     .bucket_period = std::chrono::seconds(3),
                                     .timeout = std::chrono::seconds(5),
                                     .rules = {ConsecutiveFailures(10), FailureRate(0.5, 20)}};
  Duration attempt_timeout = std::chrono::seconds(5);
  TokenBucket::Options rate = {.rate = kInfiniteRate, .burst = 1};  // of attempts
  TransportOptions transport = {};
  Clock* clock = nullptr;  // of all of it but the network; null: SteadyClock()
};

// Refuses what the Validate of a policy's own options does, and with that of the whole stack what
// does not fit together: attempts that take longer than the total, say.
absl::Status Validate(const StandardOptions& options);

// A handle: copies share the connections and all that the policies have counted, and may be used by
// all threads at once. Errors are those of the policies and of Transport.
class StandardStack {
 public:
  // Throws std::invalid_argument with the text of Validate for the options; a bad origin is what
  // every call says, as Transport's is. A policy object without a name gets the origin's.
  explicit StandardStack(std::string_view origin, StandardOptions options = {});

  absl::StatusOr<httplib::Response> operator()(const httplib::Request& request) const;
  absl::StatusOr<httplib::Response> With(const CallOptions& options,
                                         const httplib::Request& request) const;

  std::string Describe() const;  // Stack::Describe()

  // What it is made of, to look at and to turn.
  const Transport& transport() const;
  Semaphore& limiter() const;
  CircuitBreaker& breaker() const;
  TokenBucket& bucket() const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_STANDARD_STACK_H_
