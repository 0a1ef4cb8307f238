#include "clients.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/http.h"
#include "holdfast/http/httplib.h"

namespace demo {
namespace {

using namespace std::chrono_literals;

using holdfast::http::Request;
using holdfast::http::Response;
using Fetch = holdfast::AnyExecutor<absl::StatusOr<Response>(const Request&)>;

constexpr auto kPatience = 10s;  // of a caller, from the arrival of the request
constexpr int kConnections = 32;

std::string FailureOf(int http_status) {
  return http_status < 400 ? "" : "HTTP " + std::to_string(http_status);
}

// A policy of the demo, which records what comes back to Retry: an attempt that reached the server,
// or a rejection by a policy.
class Watch {
 public:
  static constexpr std::string_view kName = "Watch";

  explicit Watch(Recorder& recorder) : recorder_(&recorder) {}

  struct State {};

  holdfast::Verdict Before(holdfast::Call&, State&) { return holdfast::Verdict::Proceed(); }

  template <class R>
  holdfast::Next After(holdfast::Call&, State&, R& result) {
    const auto rejection = holdfast::RejectionOf(holdfast::ResultTraits<R>::StatusOf(result));
    if (rejection) {
      recorder_->RefusedAttempt(rejection->policy);
    } else {
      recorder_->Attempt();
    }
    return holdfast::Next::Done();
  }

 private:
  Recorder* recorder_;
};

holdfast::CircuitBreaker::Options BreakerOptions(Recorder& recorder) {
  return {
      .name = "server",
      .timeout = 500ms,
      // One request in four fails outside of the outage: ten failures in a row are no accident.
      .ready_to_trip =
          [](const holdfast::BreakerCounts& counts) { return counts.consecutive_failures >= 10; },
      .on_state_change = [&recorder](std::string_view, holdfast::BreakerState,
                                     holdfast::BreakerState to) { recorder.Breaker(to); }};
}

// In an outage of some seconds a call uses two attempts for each half second that the breaker is
// open: one is rejected by the open breaker, one because another call's probe is out. Those cost
// nothing of the budget, since they never reach the server; a retry of the one request in four that
// fails outside of the outage does. This is batch work, so a call waits until the breaker admits
// it.
holdfast::RetryOptions RetryingThroughOutages() {
  return {.max_attempts = 20,
          .backoff = holdfast::Backoff::Exponential({.initial = 50ms, .max = 500ms}),
          .budget = std::make_shared<holdfast::RetryBudget>(
              holdfast::RetryBudget::Options{.capacity = 200, .per_success = 0.5}),
          .wait_for_refusals = true};
}

// Leaves room for retries and for catching up after an outage, without overloading a server that
// has just come back.
holdfast::TokenBucket::Options FourTimes(double rate) {
  const double limit = std::max(4 * rate, 20.0);
  return {.rate = limit, .burst = static_cast<std::int64_t>(limit / 20)};
}

Fetch MakeFetch(const Url& url, const Traffic& traffic, Recorder& recorder, Dashboard* dashboard) {
  const auto stack = holdfast::Stack(holdfast::Timeout(kPatience),  // the whole call
                                     holdfast::Retry(RetryingThroughOutages()),
                                     Watch(recorder),  // from here on, each attempt
                                     holdfast::CircuitBreak(BreakerOptions(recorder)),
                                     holdfast::RateLimit(FourTimes(traffic.rate)),
                                     holdfast::Bulkhead({.limit = kConnections}),
                                     holdfast::Timeout(traffic.attempt_timeout));
  if (dashboard != nullptr) dashboard->Show("resilient", stack);
  return stack.Around(holdfast::http::Transport(url.origin, {.max_idle = kConnections}));
}

}  // namespace

Send PlainClient(const Url& url, const holdfast::Stack<>& counting, Recorder& recorder) {
  auto client = std::make_shared<httplib::Client>(url.origin);
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  client->set_connection_timeout(2s);
  client->set_read_timeout(2s);
  const auto get = counting.Around([client, path = url.path] { return client->Get(path); });
  return [client, get, &recorder](holdfast::TimePoint, const std::stop_token& stop) -> std::string {
    const std::stop_callback on_stop(stop, [&] { client->stop(); });
    const httplib::Result result = get();
    recorder.Attempt();
    if (result) return FailureOf(result->status);
    return std::string(holdfast::ResultTraits<httplib::Result>::StatusOf(result).message());
  };
}

Send ResilientClient(const Url& url, const Traffic& traffic, Recorder& recorder,
                     Dashboard* dashboard) {
  const Request request = {.method = "GET", .target = url.path};
  return [fetch = MakeFetch(url, traffic, recorder, dashboard), request, &recorder](
             holdfast::TimePoint due, const std::stop_token& stop) -> std::string {
    // The deadline counts from the arrival, as the Timeout can't: it covers the wait for a thread.
    const absl::StatusOr<Response> result =
        fetch.With({.deadline = due + kPatience, .stop = stop}, request);
    if (result.ok()) return FailureOf(result->status);
    if (const auto rejection = holdfast::RejectionOf(result.status())) {
      recorder.RefusedCall(rejection->policy);
      return "rejected by " + rejection->policy;
    }
    return std::string(result.status().message());
  };
}

}  // namespace demo
