#include "holdfast/http/standard_client.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/call/report.h"
#include "holdfast/fallback/fallback.h"
#include "holdfast/stack/stack.h"
#include "holdfast/stack/update_all.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::standard_client_test {
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

TEST_CASE("a standard client comes through a bad moment by itself") {
  RecoveringServer server(2);
  FakeClock clock;
  const StandardClient fetch(server.Url(), {.clock = &clock});
  Report report;
  const auto response = fetch.With({.report = &report}, MakeRequest("GET", "/"));
  REQUIRE(response.ok());
  CHECK(response->body == "hello");
  CHECK(report.attempts == 3);
  CHECK(report.ended_by == EndReason::kSuccess);
  CHECK(report.waited == clock.Now().time_since_epoch());
  CHECK(fetch.breaker().CountsAt(clock.Now()).requests == 3);
  CHECK(fetch.transport().stats().opened == 1);
}

TEST_CASE("the defaults of a standard client fit each other, and are told") {
  CHECK(Validate(StandardClientOptions{}).ok());
  const StandardClient fetch("http://localhost:8080");
  CHECK(fetch.Describe() ==
        "Bulkhead(\"http://localhost:8080\", 1000 at once, queue of 0) > Timeout(30s) > "
        "Retry(4 attempts, backoff up to 700ms) > "
        "CircuitBreak(\"http://localhost:8080\", window 30s, open 5s, 1 probe) > "
        "RateLimit(\"http://localhost:8080\", any rate, burst 1, waits up to 1s) > Timeout(5s)");
}

TEST_CASE("settings of a standard client that don't fit are refused with a sentence") {
  const auto refused = [](const StandardClientOptions& options, const std::string& why) {
    CAPTURE(why);
    CHECK_THAT(std::string(Validate(options).message()), ContainsSubstring(why));
    CHECK_THROWS_AS(StandardClient("http://localhost", options), std::invalid_argument);
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
    CHECK(Validate(StandardClientOptions{.bulkhead = {.limit = 1}, .breaker = {.max_requests = 5}})
              .ok());
  }
  SECTION("what no policy takes") {
    refused({.bulkhead = {.limit = 0}}, "Semaphore");
    refused({.bulkhead_queue = {.max_queue = -1}}, "Bulkhead");
    refused({.total_timeout = 0s}, "StandardClient: total_timeout");
    refused({.retry = {.max_attempts = 0}}, "Retry");
    refused({.breaker = {.max_requests = 0}}, "CircuitBreaker");
    refused({.attempt_timeout = -1s}, "StandardClient: attempt_timeout");
    refused({.rate_limit = {.rate = -1, .burst = 1}}, "TokenBucket");
    refused({.transport = {.max_idle = -1}}, "Transport");
  }
}

TEST_CASE("each part of a standard client can be another") {
  RecoveringServer server(std::numeric_limits<int>::max());
  FakeClock clock;
  SECTION("the number of attempts, and the check") {
    const StandardClient fetch(server.Url(), {.retry = {.max_attempts = 2},
                                              .retry_check =
                                                  [](const Call&, const absl::StatusOr<Response>&) {
                                                    return RetryDecision::AgainAfter(3s);
                                                  },
                                              .clock = &clock});
    CHECK(fetch(MakeRequest("GET", "/")).value().status == 503);
    CHECK(server.requests() == 2);
    CHECK(clock.Now() == TimePoint(3s));
  }
  SECTION("the breaker") {
    const StandardClient fetch(server.Url(), {.retry = {.max_attempts = 1},
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
    const StandardClient fetch(
        server.Url(),
        {.retry = {.max_attempts = 1}, .rate_limit = {.rate = 1, .burst = 1}, .clock = &clock});
    for (int i = 0; i < 3; ++i) CHECK(fetch(MakeRequest("GET", "/")).ok());
    CHECK(clock.Now() == TimePoint(2s));
  }
  SECTION("the number of calls at once") {
    const StandardClient fetch(server.Url(), {.bulkhead = {.limit = 1}, .clock = &clock});
    const auto permit = fetch.semaphore().TryAcquire();
    const absl::Status refused = fetch(MakeRequest("GET", "/")).status();
    CHECK(refused.code() == Code::kResourceExhausted);
    CHECK(server.requests() == 0);
  }
}

TEST_CASE("a standard client is an executor for another stack") {
  RecoveringServer server(std::numeric_limits<int>::max());
  FakeClock clock;
  const StandardClient inner(server.Url(), {.clock = &clock});
  const auto fetch = Stack(Fallback([](const absl::Status&) {
                       httplib::Response saved;
                       saved.body = "saved";
                       return absl::StatusOr<httplib::Response>(saved);
                     })).Around(inner, &clock);
  CHECK(fetch(MakeRequest("GET", "/")).value().body == "saved");
  CHECK(server.requests() == 4);
}

TEST_CASE("what one option sets leaves the others of its policy as they were") {
  // The defect: a breaker with a name had neither window nor rules, and never opened.
  const StandardClientOptions options{.bulkhead = {.name = "api"},
                                      .bulkhead_queue = {.order = QueueOrder::kNewestFirst},
                                      .breaker = {.name = "api"},
                                      .rate_limit = {.name = "api"}};
  const StandardClientOptions defaults;
  CHECK(options.bulkhead.limit == defaults.bulkhead.limit);
  CHECK(options.bulkhead_queue.max_queue == 0);
  CHECK(options.breaker.interval == 30s);
  CHECK(options.breaker.bucket_period == 3s);
  CHECK(options.breaker.timeout == 5s);
  CHECK(options.breaker.rules.size() == 2);
  CHECK(options.rate_limit.rate == kInfiniteRate);
  CHECK(options.rate_limit.burst == kBurstOfOneSecond);

  FakeClock clock;
  int ran = 0;
  const StandardClient fetch(
      [&](const Request&) -> absl::StatusOr<Response> {
        if (++ran % 2 == 0) return absl::UnavailableError("down");
        return Response();
      },
      {.retry = {.max_attempts = 1}, .breaker = {.name = "api"}, .clock = &clock});
  for (int i = 0; i < 60; ++i) (void)fetch(MakeRequest("GET", "/"));
  CHECK(fetch.breaker().StateAt(clock.Now()) == BreakerState::kOpen);
  CHECK(ran == 20);
}

TEST_CASE("every field of a breaker's options reaches the breaker") {
  const StandardBreaker standard{.name = "n",
                                 .max_requests = 2,
                                 .interval = 3s,
                                 .bucket_period = 4s,
                                 .last_calls = 5,
                                 .timeout = 6s,
                                 .open_time = [](std::uint64_t) { return 7s; },
                                 .probe_lease = 8s,
                                 .ramp = {0.9},
                                 .ramp_step = 10s,
                                 .ready_to_trip = [](const BreakerCounts&) { return true; },
                                 .rules = {ConsecutiveFailures(12)},
                                 .slow_call = 13s,
                                 .on_state_change = [](auto, auto, auto) {},
                                 .classify = [](const absl::Status&) { return Outcome::kIgnored; },
                                 .clock = SteadyClock()};
  const CircuitBreaker::Options options = standard;
  CHECK(options.name == "n");
  CHECK(options.max_requests == 2);
  CHECK(options.interval == 3s);
  CHECK(options.bucket_period == 4s);
  CHECK(options.last_calls == 5);
  CHECK(options.timeout == 6s);
  CHECK(options.open_time(1) == 7s);
  CHECK(options.probe_lease == 8s);
  CHECK(options.ramp == std::vector{0.9});
  CHECK(options.ramp_step == 10s);
  CHECK(options.ready_to_trip({}));
  CHECK(options.rules.size() == 1);
  CHECK(options.slow_call == 13s);
  CHECK(options.on_state_change != nullptr);
  CHECK(options.classify(absl::OkStatus()) == Outcome::kIgnored);
  CHECK(options.clock == SteadyClock());
}

absl::StatusOr<Response> Hello(int status = 200) {
  return Response{.status = status, .body = "hello"};
}

TEST_CASE("a standard client can be put around any executor") {
  FakeClock clock;
  SECTION("one that takes the call, and sees its attempts and deadline") {
    std::vector<int> attempts;
    const StandardClient fetch(
        [&](const Request& request, Call& call) {
          CHECK(request.target == "/orders");
          CHECK(call.deadline() == call.now() + 5s);
          attempts.push_back(call.attempt());
          return Hello(call.attempt() < 3 ? 503 : 200);
        },
        {.clock = &clock});
    CHECK(fetch(MakeRequest("GET", "/orders")).value().body == "hello");
    CHECK(attempts == std::vector{1, 2, 3});
    CHECK_THROWS_AS(fetch.transport(), std::logic_error);
    CHECK(fetch.Describe() ==
          "Bulkhead(1000 at once, queue of 0) > Timeout(30s) > "
          "Retry(4 attempts, backoff up to 700ms) > "
          "CircuitBreak(window 30s, open 5s, 1 probe) > RateLimit(any rate, burst 1, waits up to "
          "1s) > "
          "Timeout(5s)");
  }
  SECTION("one with a stack of its own") {
    const auto inner = Stack(Timeout(1s))
                           .Around(
                               [](const Request&, Call& call) {
                                 CHECK(call.deadline() == call.now() + 1s);
                                 return Hello();
                               },
                               &clock);
    const StandardClient fetch(inner, {.clock = &clock});
    CHECK(fetch(MakeRequest("GET", "/")).ok());
  }
  SECTION("with options that make no sense") {
    const auto hello = [](const Request&) { return Hello(); };
    CHECK_THROWS_AS(StandardClient(hello, {.total_timeout = 0s}), std::invalid_argument);
  }
}

TEST_CASE("standard clients can share what they count with") {
  FakeClock clock;
  const auto dead = [](const Request&) { return Hello(503); };
  const StandardClientOptions options{
      .retry = {.max_attempts = 4, .backoff = Backoff::Constant(0s)},
      .breaker = {.rules = {ConsecutiveFailures(1000)}},
      .rate_limit = {.rate = 1000, .burst = 1000},
      .clock = &clock};
  const StandardClient first(dead, options);
  SECTION("by default they share nothing, whatever was copied") {
    const StandardClient second(dead, options);
    for (int i = 0; i < 60; ++i) (void)first(MakeRequest("GET", "/"));
    CHECK(first.budget().BalanceAt(clock.Now()) < 1);
    CHECK(second.budget().BalanceAt(clock.Now()) == 100);
    CHECK(second.breaker().CountsAt(clock.Now()).requests == 0);
  }
  SECTION("all of it") {
    StandardClientOptions same = options;
    same.shared = first.objects();
    const StandardClient second(dead, same);
    for (int i = 0; i < 60; ++i) (void)first(MakeRequest("GET", "/"));
    CHECK(&second.budget() == &first.budget());
    CHECK(&second.semaphore() == &first.semaphore());
    CHECK(&second.bucket() == &first.bucket());
    CHECK(second.breaker().CountsAt(clock.Now()).requests ==
          first.breaker().CountsAt(clock.Now()).requests);
  }
  SECTION("some of it") {
    const StandardClient second(dead,
                                {.shared = {.breaker = first.objects().breaker}, .clock = &clock});
    CHECK(&second.breaker() == &first.breaker());
    CHECK(&second.budget() != &first.budget());
  }
  SECTION("but not two budgets for one") {
    const StandardClientOptions both{.retry = {.budget = RetryBudget::MakeDefault()},
                                     .shared = {.budget = RetryBudget::MakeDefault()}};
    CHECK_FALSE(Validate(both).ok());
    CHECK(Validate(StandardClientOptions{.retry = {.budget = first.objects().budget},
                                         .shared = {.budget = first.objects().budget}})
              .ok());
  }
}

TEST_CASE("a standard client changes while it runs, and only as a whole that fits") {
  FakeClock clock;
  Duration had{};
  const StandardClient stack(
      [&](const Request&, Call& call) -> absl::StatusOr<Response> {
        had = call.deadline() - clock.Now();
        return Response();
      },
      {.clock = &clock});
  const StandardSettings& settings = stack.settings();
  const auto& breaker = stack.objects().breaker;
  CHECK(stack(MakeRequest("GET", "/")).ok());
  CHECK(had == 5s);
  // Four attempts of 20 s do not fit into 30 s.
  CHECK(
      absl::IsInvalidArgument(UpdateAll(stack, Change(settings.attempt_timeout, {.limit = 20s}))));
  CHECK(settings.attempt_timeout->options().limit == 5s);
  CircuitBreaker::Options slower = breaker->options();
  slower.interval = 3min;
  slower.bucket_period = 10s;
  CHECK(UpdateAll(stack, Change(settings.attempt_timeout, {.limit = 20s}),
                  Change(settings.total_timeout, {.limit = 90s}),
                  Change(settings.bulkhead_queue, {.max_wait = 10s, .max_queue = 5}),
                  Change(breaker, slower), Change(stack.objects().semaphore, {.limit = 7}))
            .ok());
  CHECK(stack(MakeRequest("GET", "/")).ok());
  CHECK(had == 20s);
  CHECK_THAT(stack.Describe(), ContainsSubstring("7 at once, queue of 5"));
}

TEST_CASE("a standard client says of a bad origin what a transport says") {
  const StandardClient fetch("localhost:8080");
  CHECK(fetch(MakeRequest("GET", "/")).status().code() == Code::kInvalidArgument);
}

}  // namespace
}  // namespace holdfast::http::standard_client_test
