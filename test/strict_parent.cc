// What a project includes and instantiates that compiles with more warnings than this one.

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <chrono>
#include <string>

#include "holdfast/asio.h"
#include "holdfast/holdfast.h"
#include "holdfast/http.h"
#include "holdfast/http/httplib.h"
#include "holdfast/testing.h"

namespace {

using namespace std::chrono_literals;

auto Policies() {
  return holdfast::Stack(
      holdfast::AdaptiveLimit(holdfast::AdaptiveLimiter::Options{}), holdfast::Timeout(10s),
      holdfast::Retry({.max_attempts = 4}),
      holdfast::CircuitBreak(holdfast::CircuitBreaker::Options{.name = "orders"}),
      holdfast::RateLimit(holdfast::TokenBucket::Options{.rate = 10, .burst = 1}),
      holdfast::Bulkhead(holdfast::Semaphore::Options{.limit = 8}), holdfast::Timeout(2s));
}

}  // namespace

absl::StatusOr<httplib::Response> Blocking(const httplib::Request& request) {
  return Policies().Around(holdfast::http::Transport("http://localhost"))(request);
}

absl::Status Hedged(const std::string& key) {
  return holdfast::Stack(holdfast::Hedge({.delay = 10ms}, holdfast::HedgeAll()))
      .Around([](const std::string&, holdfast::Call&) { return absl::OkStatus(); })(key);
}

void Asynchronous(holdfast::net::io_context& context) {
  Policies().AroundAsync(
      [](int) -> holdfast::net::awaitable<absl::Status> { co_return absl::OkStatus(); }, context)(
      1, [](const absl::Status&) {});
}

void Simulated(holdfast::testing::World& world) {
  holdfast::testing::Server server(world, {});
  holdfast::testing::Population clients(world, holdfast::testing::OpenClients{}, server,
                                        [] { return holdfast::Stack(holdfast::Timeout(1s)); });
  world.RunFor(1min);
}
