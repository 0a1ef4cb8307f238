#include "holdfast/breaker/keyed_circuit_break.h"

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>

#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::keyed_circuit_break_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using WhenFull = KeyedCircuitBreaker::WhenFull;

// Trip on the first failure.
std::shared_ptr<KeyedCircuitBreaker> Hosts(std::int64_t max_keys = 100,
                                           WhenFull when_full = WhenFull::kAdmit) {
  return std::make_shared<KeyedCircuitBreaker>(KeyedCircuitBreaker::Options{
      .breaker = {.timeout = 10s, .ready_to_trip = [](const BreakerCounts&) { return true; }},
      .max_keys = max_keys,
      .when_full = when_full,
      .name = "hosts"});
}

struct Order {
  std::string host;
  bool fails = false;
};

const auto kHost = FromRequest<Order>(&Order::host);
const auto kFail = [] { return absl::InternalError("down"); };
const auto kSucceed = [] { return absl::OkStatus(); };
const auto kOrder = [](const Order& order) {
  return order.fails ? absl::InternalError("down") : absl::OkStatus();
};

TEST_CASE("each key's calls are counted by its own breaker") {
  FakeClock clock;
  const auto hosts = Hosts();
  const auto call = Stack(KeyedCircuitBreak(hosts)).Around(kFail, &clock);
  CHECK(call.With({.key = "a"}).code() == absl::StatusCode::kInternal);
  Report report;
  const absl::Status refused = call.With({.key = "a", .report = &report});
  CHECK(refused.code() == absl::StatusCode::kUnavailable);
  CHECK(RejectionOf(refused)->kind == RejectionKind::kCircuitOpen);
  CHECK(RejectionOf(refused)->name == "hosts/a");
  CHECK(report.attempts == 0);
  CHECK(report.ended_by == EndReason::kRejected);
  CHECK(report.retry_at == TimePoint{10s + 1ns});
  for (const char* key : {"b", ""}) {
    CHECK(call.With({.key = key}).code() == absl::StatusCode::kInternal);
  }
  CHECK(hosts->size() == 3);
  clock.Advance(10s + 1ns);
  CHECK(Stack(KeyedCircuitBreak(hosts)).Around(kSucceed, &clock).With({.key = "a"}).ok());
  CHECK(hosts->Find("a")->StateAt(clock.Now()) == BreakerState::kClosed);
}

TEST_CASE("the key of a call to a breaker may come from the request") {
  FakeClock clock;
  const auto hosts = Hosts();
  const auto call = Stack(KeyedCircuitBreak(hosts, {.key = kHost})).Around(kOrder, &clock);
  CHECK_FALSE(call(Order{"a", true}).ok());
  CHECK(RejectionOf(call(Order{"a"})).has_value());
  CHECK(call(Order{"b"}).ok());
  const auto other = Stack(KeyedCircuitBreak(hosts, {.key = kHost})).Around(kSucceed, &clock);
  CHECK_THROWS_AS(other(), std::invalid_argument);
}

TEST_CASE("a key's breaker counts an exception as a failure, and a cancellation not at all") {
  FakeClock clock;
  const auto hosts = Hosts();
  const auto crash = []() -> absl::Status { throw std::runtime_error("crash"); };
  const auto call = Stack(KeyedCircuitBreak(hosts)).Around(crash, &clock);
  CHECK_THROWS_AS(call.With({.key = "a"}), std::runtime_error);
  CHECK(hosts->Find("a")->StateAt(clock.Now()) == BreakerState::kOpen);

  // Stopped while it waits for a token, inside of the breaker.
  std::stop_source stop;
  const auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 1});
  bucket->SetBurstAt(TimePoint::min(), 0);
  stop.request_stop();
  const auto waiting = Stack(KeyedCircuitBreak(hosts), RateLimit(bucket)).Around(kSucceed, &clock);
  CHECK_FALSE(waiting.With({.stop = stop.get_token(), .key = "b"}).ok());
  CHECK_FALSE(waiting.With({.key = "c"}).ok());  // refused by the inner policy
  CHECK(hosts->Find("c")->CountsAt(clock.Now()).ignored == 1);
  CHECK(hosts->Find("c")->StateAt(clock.Now()) == BreakerState::kClosed);
}

TEST_CASE("each attempt is counted by the breaker of the call's key") {
  FakeClock clock;
  const auto hosts = std::make_shared<KeyedCircuitBreaker>(KeyedCircuitBreaker::Options{});
  const auto unavailable = [] { return absl::UnavailableError("down"); };
  const auto call = Stack(Retry({.max_attempts = 3, .budget = RetryBudget::Unlimited()}),
                          KeyedCircuitBreak(hosts))
                        .Around(unavailable, &clock);
  CHECK_FALSE(call.With({.key = "a"}).ok());
  CHECK(hosts->Find("a")->CountsAt(clock.Now()).failures == 3);
  CHECK(hosts->size() == 1);
}

TEST_CASE("a classifier decides for the breakers of all keys") {
  FakeClock clock;
  const auto hosts = Hosts();
  const auto classify = [](const Call& call, const absl::Status& status) {
    return !status.ok() && call.key() == "strict" ? Outcome::kFailure : Outcome::kSuccess;
  };
  const auto call = Stack(KeyedCircuitBreak(hosts, {}, classify)).Around(kFail, &clock);
  for (const char* key : {"strict", "easy"}) CHECK_FALSE(call.With({.key = key}).ok());
  CHECK(hosts->Find("strict")->StateAt(clock.Now()) == BreakerState::kOpen);
  CHECK(hosts->Find("easy")->StateAt(clock.Now()) == BreakerState::kClosed);
  CHECK(hosts->Find("easy")->CountsAt(clock.Now()).successes == 1);
}

TEST_CASE("a key's breaker in a dry run lets all pass") {
  FakeClock clock;
  const auto hosts = Hosts();
  hosts->Get("a")->SetModeAt(clock.Now(), BreakerMode::kMetricsOnly);
  const auto call = Stack(KeyedCircuitBreak(hosts)).Around(kFail, &clock);
  CHECK_FALSE(call.With({.key = "a"}).ok());
  Report report;
  CHECK(call.With({.key = "a", .report = &report}).code() == absl::StatusCode::kInternal);
  REQUIRE(report.dry_run.size() == 1);
  CHECK(report.dry_run[0].policy == "KeyedCircuitBreak");
  CHECK(report.dry_run[0].until == TimePoint{10s + 1ns});
}

TEST_CASE("calls for keys without a breaker pass uncounted, or are refused") {
  FakeClock clock;
  const auto when_full = GENERATE(WhenFull::kAdmit, WhenFull::kRefuse);
  const auto hosts = Hosts(1, when_full);
  const auto call = Stack(KeyedCircuitBreak(hosts, {.key = kHost})).Around(kOrder, &clock);
  CHECK_FALSE(call(Order{"a", true}).ok());
  for (const bool fails : {true, false}) {
    Report report;
    const absl::Status status = call.With({.report = &report}, Order{"b", fails});
    if (when_full == WhenFull::kAdmit) {
      CHECK(status == kOrder({"b", fails}));
    } else {
      CHECK(status.code() == absl::StatusCode::kUnavailable);
      CHECK(RejectionOf(status)->policy == "KeyedCircuitBreak");
      CHECK(RejectionOf(status)->name == "hosts");
      CHECK(report.ended_by == EndReason::kRejected);
      CHECK(report.retry_at == TimePoint::min());
    }
  }
  CHECK(hosts->Find("b") == nullptr);
  CHECK(hosts->Find("a")->StateAt(clock.Now()) == BreakerState::kOpen);
}

TEST_CASE("a key is not forgotten while a call for it is in flight") {
  FakeClock clock;
  const auto hosts = Hosts(1);
  const CircuitBreaker* during = nullptr;
  const auto executor = [&]() -> absl::Status {
    CHECK(hosts->GetAt(clock.Now(), "b") == nullptr);
    during = hosts->Find("a").get();
    return absl::InternalError("down");
  };
  const auto call = Stack(KeyedCircuitBreak(hosts)).Around(executor, &clock);
  CHECK_FALSE(call.With({.key = "a"}).ok());
  REQUIRE(during != nullptr);
  CHECK(hosts->Find("a").get() == during);
  CHECK(hosts->Find("a")->StateAt(clock.Now()) == BreakerState::kOpen);
  hosts->Find("a")->ResetAt(clock.Now());
  CHECK(hosts->GetAt(clock.Now(), "b") != nullptr);
}

TEST_CASE("breakers are looked at by the clock of the stack") {
  FakeClock clock;  // years behind the steady one
  const auto hosts = Hosts(1);
  const auto call = Stack(KeyedCircuitBreak(hosts)).Around(kFail, &clock);
  CHECK_FALSE(call.With({.key = "a"}).ok());
  CHECK_FALSE(call.With({.key = "b"}).ok());
  CHECK(RejectionOf(call.With({.key = "a"})).has_value());
}

TEST_CASE("what a key or a breaker's options throw passes, and no breaker is made") {
  FakeClock clock;
  const auto hosts = std::make_shared<KeyedCircuitBreaker>(
      KeyedCircuitBreaker::Options{.options_for = [](std::string_view key) {
        if (key == "unknown") throw std::out_of_range("who?");
        return CircuitBreaker::Options{};
      }});
  const auto key = [](const Call& call) {
    if (call.key().empty()) throw std::domain_error("no key");
    return call.key();
  };
  const auto call = Stack(KeyedCircuitBreak(hosts, {.key = key})).Around(kSucceed, &clock);
  CHECK_THROWS_AS(call(), std::domain_error);
  CHECK_THROWS_AS(call.With({.key = "unknown"}), std::out_of_range);
  CHECK(hosts->size() == 0);
  CHECK(call.With({.key = "a"}).ok());
  CHECK(hosts->size() == 1);
}

TEST_CASE("breakers by key are made in place, and are never null") {
  CHECK_THROWS_AS(KeyedCircuitBreak(std::shared_ptr<KeyedCircuitBreaker>()), std::invalid_argument);
  CHECK_THROWS_AS(KeyedCircuitBreak({.max_keys = 0}), std::invalid_argument);
  const auto ignore = [](const Call&, const absl::Status&) { return Outcome::kIgnored; };
  CHECK(Stack(KeyedCircuitBreak({})).Around(kSucceed)().ok());
  CHECK(Stack(KeyedCircuitBreak({.max_keys = 2}, {.key = kHost})).Around(kOrder)(Order{}).ok());
  CHECK(Stack(KeyedCircuitBreak({}, {}, ignore)).Around(kSucceed)().ok());
}

}  // namespace
}  // namespace holdfast::keyed_circuit_break_test
