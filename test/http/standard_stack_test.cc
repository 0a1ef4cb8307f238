#include "holdfast/http/standard_stack.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

#include "holdfast/fallback.h"
#include "holdfast/rejection.h"
#include "holdfast/report.h"
#include "holdfast/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::testing::FakeClock;
using test::ContainsSubstring;
using test::MakeRequest;
using test::TestServer;
using Code = absl::StatusCode;

// Answers so many requests with 503, and then with "hello".
class RecoveringServer : public TestServer {
 public:
  explicit RecoveringServer(int failures) {
    const auto answer = [left = std::make_shared<std::atomic<int>>(failures)](
                            const httplib::Request&, httplib::Response& response) {
      const bool fails = left->fetch_sub(1) > 0;
      response.status = fails ? 503 : 200;
      response.set_content(fails ? "busy" : "hello", "text/plain");
    };
    Get("/", answer);
    Post("/", answer);
    Start();
  }
  std::string Url() const { return "http://" + Host(); }
};

TEST_CASE("a standard stack comes through a bad moment by itself") {
  RecoveringServer server(2);
  FakeClock clock;
  const StandardStack fetch(server.Url(), {.clock = &clock});
  Report report;
  const auto response = fetch.With({.report = &report}, MakeRequest("GET", "/"));
  REQUIRE(response.ok());
  CHECK(response->body == "hello");
  CHECK(report.attempts == 3);
  CHECK(report.stopped == StopReason::kSuccess);
  CHECK(report.waited == clock.Now().time_since_epoch());
  CHECK(fetch.breaker().CountsAt(clock.Now()).requests == 3);
  CHECK(fetch.transport().stats().opened == 1);
}

TEST_CASE("the defaults of a standard stack fit each other, and are told") {
  CHECK(Validate(StandardOptions{}).ok());
  const StandardStack fetch("http://localhost:8080");
  CHECK(fetch.Describe() ==
        "Bulkhead(\"http://localhost:8080\", 1000 at once, queue of 0) > Timeout(30s) > "
        "Retry(4 attempts, backoff up to 700ms) > "
        "CircuitBreak(\"http://localhost:8080\", window 30s, open 5s, 1 probe) > "
        "RateLimit(\"http://localhost:8080\", any rate, burst 1) > Timeout(5s)");
}

TEST_CASE("settings of a standard stack that don't fit are refused with a sentence") {
  const auto refused = [](const StandardOptions& options, const std::string& why) {
    CAPTURE(why);
    CHECK_THAT(std::string(Validate(options).message()), ContainsSubstring(why));
    CHECK_THROWS_AS(StandardStack("http://localhost", options), std::invalid_argument);
  };
  SECTION("an attempt as long as the total") {
    refused({.attempt_timeout = 30s}, "leaves nothing of the Timeout(30s)");
  }
  SECTION("attempts that are longer together") {
    refused({.total_timeout = 20s}, "may take 20.7s with 5s for each attempt");
  }
  SECTION("a window that is too short for the attempts") {
    refused({.breaker = {.interval = 5s}}, "less than twice the 5s");
  }
  SECTION("more probes than the limit lets through") {
    // Outside of the breaker, so this one is fine.
    CHECK(Validate(StandardOptions{.limiter = {.limit = 1}, .breaker = {.max_requests = 5}}).ok());
  }
  SECTION("what no policy takes") {
    refused({.limiter = {.limit = 0}}, "Semaphore");
    refused({.queue = {.max_queue = -1}}, "Bulkhead");
    refused({.total_timeout = 0s}, "StandardStack: total_timeout");
    refused({.retry = {.max_attempts = 0}}, "Retry");
    refused({.breaker = {.max_requests = 0}}, "CircuitBreaker");
    refused({.attempt_timeout = -1s}, "StandardStack: attempt_timeout");
    refused({.rate = {.rate = -1, .burst = 1}}, "TokenBucket");
    refused({.transport = {.max_idle = -1}}, "Transport");
  }
}

TEST_CASE("each part of a standard stack can be another") {
  RecoveringServer server(std::numeric_limits<int>::max());
  FakeClock clock;
  SECTION("the number of attempts, and the check") {
    const StandardStack fetch(server.Url(),
                              {.retry = {.max_attempts = 2},
                               .check =
                                   [](const Call&, const absl::StatusOr<httplib::Response>&) {
                                     return RetryDecision::AgainAfter(3s);
                                   },
                               .clock = &clock});
    CHECK(fetch(MakeRequest("GET", "/")).value().status == 503);
    CHECK(server.requests() == 2);
    CHECK(clock.Now() == TimePoint(3s));
  }
  SECTION("the breaker") {
    const StandardStack fetch(server.Url(), {.retry = {.max_attempts = 1},
                                             .breaker = {.rules = {ConsecutiveFailures(2)}},
                                             .clock = &clock});
    for (int i = 0; i < 2; ++i) CHECK(fetch(MakeRequest("POST", "/", "x")).value().status == 503);
    CHECK(fetch.breaker().StateAt(clock.Now()) == BreakerState::kOpen);
    const absl::Status refused = fetch(MakeRequest("POST", "/", "x")).status();
    REQUIRE(RejectionOf(refused).has_value());
    CHECK(RejectionOf(refused)->name == server.Url());
    CHECK(server.requests() == 2);
  }
  SECTION("the rate") {
    const StandardStack fetch(
        server.Url(),
        {.retry = {.max_attempts = 1}, .rate = {.rate = 1, .burst = 1}, .clock = &clock});
    for (int i = 0; i < 3; ++i) CHECK(fetch(MakeRequest("GET", "/")).ok());
    CHECK(clock.Now() == TimePoint(2s));
  }
  SECTION("the number of calls at once") {
    const StandardStack fetch(server.Url(), {.limiter = {.limit = 1}, .clock = &clock});
    const auto permit = fetch.limiter().TryAcquire();
    const absl::Status refused = fetch(MakeRequest("GET", "/")).status();
    CHECK(refused.code() == Code::kResourceExhausted);
    CHECK(server.requests() == 0);
  }
}

TEST_CASE("a standard stack is an executor for another stack") {
  RecoveringServer server(std::numeric_limits<int>::max());
  FakeClock clock;
  const StandardStack inner(server.Url(), {.clock = &clock});
  const auto fetch = Stack(Fallback([](const absl::Status&) {
                       httplib::Response saved;
                       saved.body = "saved";
                       return absl::StatusOr<httplib::Response>(saved);
                     })).Around(inner, &clock);
  CHECK(fetch(MakeRequest("GET", "/")).value().body == "saved");
  CHECK(server.requests() == 4);
}

TEST_CASE("a standard stack says of a bad origin what a transport says") {
  const StandardStack fetch("localhost:8080");
  CHECK(fetch(MakeRequest("GET", "/")).status().code() == Code::kInvalidArgument);
}

}  // namespace
}  // namespace holdfast::http
