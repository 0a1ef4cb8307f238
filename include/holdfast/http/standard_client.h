// StandardClient is an HTTP client for one origin with a stack of policies around it: bulkhead,
// total timeout, retry, circuit breaker, rate limit, attempt timeout.
//
//   const holdfast::http::StandardClient orders("http://localhost:8080");
//   absl::StatusOr<httplib::Response> response = orders(request);
//
//   const holdfast::http::StandardClient quotes(
//       "http://localhost:8081",
//       {.total_timeout = 2s, .attempt_timeout = 400ms, .rate_limit = {.rate = 100, .burst = 20}});
//
//   // In a test, without a network: an executor takes the place of the origin.
//   const holdfast::http::StandardClient fake([](const httplib::Request&) {
//     return absl::StatusOr<httplib::Response>(absl::UnavailableError("down"));
//   });
#ifndef HOLDFAST_HTTP_STANDARD_CLIENT_H_
#define HOLDFAST_HTTP_STANDARD_CLIENT_H_

#include <absl/status/statusor.h>
#include <httplib.h>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/call/call.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/driver/blocking_driver.h"
#include "holdfast/http/standard_client_options.h"  // IWYU pragma: export
#include "holdfast/http/transport.h"
#include "holdfast/rate/token_bucket.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/stack/internal/stack_info.h"

namespace holdfast::http {

namespace internal {

using AttemptFunction =
    std::function<absl::StatusOr<httplib::Response>(const httplib::Request&, Call&)>;

template <class Executor>
concept Serves = holdfast::internal::Executes<Executor, const httplib::Request&>;

template <class Executor>
AttemptFunction AsTransport(Executor executor) {
  return [executor = std::move(executor)](const httplib::Request& request,
                                          Call& call) mutable -> absl::StatusOr<httplib::Response> {
    return holdfast::internal::Attempt<const httplib::Request&>(executor, call, request);
  };
}

}  // namespace internal

// A handle: copies share the connections and the state of the policies. Thread-safe. Returns the
// errors of the policies and of Transport.
class StandardClient {
 public:
  // Throws std::invalid_argument, with the text of Validate, for invalid options. An invalid origin
  // does not throw: every call returns kInvalidArgument. A policy object without a name gets the
  // origin as its name.
  explicit StandardClient(std::string_view origin, StandardClientOptions options = {});

  // The same with `executor` instead of a Transport: a fake for a test, or another client. Each
  // attempt calls it with the request, and with the Call& if it takes one; it returns an
  // absl::StatusOr<httplib::Response>. `options.transport` is ignored.
  template <class Executor>
    requires(!std::convertible_to<Executor, std::string_view> && internal::Serves<Executor>)
  explicit StandardClient(Executor executor, StandardClientOptions options = {})
      : StandardClient(internal::AsTransport(std::move(executor)), std::move(options), nullptr) {}

  absl::StatusOr<httplib::Response> operator()(const httplib::Request& request) const;
  absl::StatusOr<httplib::Response> With(const CallOptions& options,
                                         const httplib::Request& request) const;

  std::string Describe() const;  // Stack::Describe()

  // For UpdateAll (stack/update_all.h), which changes settings() and objects() while calls run.
  std::vector<holdfast::internal::NamedInfo> Info(
      const holdfast::internal::Changes& changes = {}) const;

  // The clock of the policies, for a stack around this client.
  Clock* StackClock() const;

  // The parts, to read, to change and to share. transport() throws std::logic_error if the client
  // was made around an executor.
  const Transport& transport() const;
  Semaphore& semaphore() const;
  RetryBudget& budget() const;
  CircuitBreaker& breaker() const;
  TokenBucket& bucket() const;
  const StandardObjects& objects() const;
  const StandardSettings& settings() const;

 private:
  struct Parts;

  StandardClient(internal::AttemptFunction attempt, StandardClientOptions options,
                 std::shared_ptr<const Transport> transport);

  std::shared_ptr<const Parts> parts_;
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_STANDARD_CLIENT_H_
