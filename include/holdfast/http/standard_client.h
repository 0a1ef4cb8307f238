// StandardClient is an HTTP client for one origin with a stack of policies around it: bulkhead,
// total timeout, retry, circuit breaker, rate limit, attempt timeout.
//
//   const holdfast::http::StandardClient orders("http://localhost:8080");
//   absl::StatusOr<holdfast::http::Response> order = orders.Get("/orders/7");
//   order = orders({.method = "PUT", .target = "/orders/7", .body = "{}"});
//
//   const holdfast::http::StandardClient quotes(
//       "http://localhost:8081",
//       {.total_timeout = 2s, .attempt_timeout = 400ms, .rate_limit = {.rate = 100, .burst = 20}});
//
//   // In a test, without a network: an executor takes the place of the origin.
//   const holdfast::http::StandardClient fake([](const holdfast::http::Request&) {
//     return absl::StatusOr<holdfast::http::Response>(absl::UnavailableError("down"));
//   });
#ifndef HOLDFAST_HTTP_STANDARD_CLIENT_H_
#define HOLDFAST_HTTP_STANDARD_CLIENT_H_

#include <absl/status/statusor.h>

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
#include "holdfast/call/collector.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/driver/blocking_driver.h"
#include "holdfast/http/message.h"
#include "holdfast/http/standard_client_options.h"  // IWYU pragma: export
#include "holdfast/http/transport.h"
#include "holdfast/rate/token_bucket.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/stack/internal/stack_info.h"

namespace holdfast::http {

namespace internal {

using AttemptFunction = std::function<absl::StatusOr<Response>(const Request&, Call&)>;

template <class Executor>
concept Serves = holdfast::internal::Executes<Executor, const Request&>;

template <class Executor>
AttemptFunction AsTransport(Executor executor) {
  return [executor = std::move(executor)](const Request& request,
                                          Call& call) mutable -> absl::StatusOr<Response> {
    return holdfast::internal::Attempt<const Request&>(executor, call, request);
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
  // absl::StatusOr<Response>. `options.transport` is ignored. If `options.redirects` has no origin,
  // redirects with a path are followed, and those with a whole URL are returned as they are.
  template <class Executor>
    requires(!std::convertible_to<Executor, std::string_view> && internal::Serves<Executor>)
  explicit StandardClient(Executor executor, StandardClientOptions options = {})
      : StandardClient(internal::AsTransport(std::move(executor)), std::move(options), nullptr) {}

  // With redirects that are followed, the deadline of With bounds all hops together, and the report
  // is that of the last one.
  absl::StatusOr<Response> operator()(const Request& request) const;
  absl::StatusOr<Response> With(const CallOptions& options, const Request& request) const;

  // The same for a request of another type (MessageTraits, message.h), for example of cpp-httplib.
  // The policies, `retry_check` and the executor get it as a Request.
  template <HasMessageTraits T>
  absl::StatusOr<typename MessageTraits<T>::Response> operator()(const T& request) const {
    return internal::SendForeign(request, *this);
  }
  template <HasMessageTraits T>
  absl::StatusOr<typename MessageTraits<T>::Response> With(const CallOptions& options,
                                                           const T& request) const {
    return internal::SendForeign(request, [&](const Request& own) { return With(options, own); });
  }

  // Calls in short: of a method, with a target as Request has it, headers and, of the last three, a
  // body. `content_type` takes the place of a Content-Type in `headers`, unless it is empty.
  absl::StatusOr<Response> Get(std::string target, Headers headers = {}) const;
  absl::StatusOr<Response> Head(std::string target, Headers headers = {}) const;
  absl::StatusOr<Response> Delete(std::string target, Headers headers = {}) const;
  absl::StatusOr<Response> Options(std::string target, Headers headers = {}) const;
  absl::StatusOr<Response> Post(std::string target, std::string body, std::string content_type,
                                Headers headers = {}) const;
  absl::StatusOr<Response> Put(std::string target, std::string body, std::string content_type,
                               Headers headers = {}) const;
  absl::StatusOr<Response> Patch(std::string target, std::string body, std::string content_type,
                                 Headers headers = {}) const;

  std::string Describe() const;  // Stack::Describe()

  // That of `options.redirects`, or else of the client: scheme://host[:port] in lower case, without
  // the scheme's own port. Empty if it is invalid, or an executor does not say it.
  std::string origin() const;

  // For UpdateAll (stack/update_all.h), which changes settings() and objects() while calls run.
  std::vector<holdfast::internal::NamedInfo> Info(
      const holdfast::internal::Changes& changes = {}) const;

  // For a registry of metrics: metrics.Add("orders", client) adds the stack with its objects, and
  // the Transport under the name of its origin.
  CollectedObjects Objects() const;

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
