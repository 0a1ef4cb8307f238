// StandardClient is a client of one origin with the policies that most services want around it.
//
//   const holdfast::http::StandardClient orders("http://localhost:8080");
//   absl::StatusOr<httplib::Response> response = orders(request);
//
//   const holdfast::http::StandardClient quotes(
//       "http://localhost:8081",
//       {.total_timeout = 2s, .attempt_timeout = 400ms, .rate_limit = {.rate = 100, .burst = 20}});
//
//   // In a test, without a network: any executor in the place of the origin.
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

// A handle: copies share the connections and all that the policies have counted, and may be used by
// all threads at once. Errors are those of the policies and of Transport.
class StandardClient {
 public:
  // Throws std::invalid_argument with the text of Validate for the options; a bad origin is what
  // every call says, as Transport's is. A policy object without a name gets the origin's.
  explicit StandardClient(std::string_view origin, StandardClientOptions options = {});

  // The same around `executor` in place of a Transport: a fake for a test, or a client of your own.
  // It is called with each attempt's request, and with the Call if it takes one, and returns an
  // absl::StatusOr<httplib::Response>. `options.transport` is not used.
  template <class Executor>
    requires(!std::convertible_to<Executor, std::string_view> && internal::Serves<Executor>)
  explicit StandardClient(Executor executor, StandardClientOptions options = {})
      : StandardClient(internal::AsTransport(std::move(executor)), std::move(options), nullptr) {}

  absl::StatusOr<httplib::Response> operator()(const httplib::Request& request) const;
  absl::StatusOr<httplib::Response> With(const CallOptions& options,
                                         const httplib::Request& request) const;

  std::string Describe() const;  // Stack::Describe()

  // For UpdateAll (update_all.h), which changes settings() and objects() while calls run.
  std::vector<holdfast::internal::NamedInfo> Info(
      const holdfast::internal::Changes& changes = {}) const;

  // For a stack around it.
  Clock* StackClock() const;

  // What it is made of, to look at, to turn and to share.
  const Transport& transport() const;  // throws std::logic_error if it was made around an executor
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
