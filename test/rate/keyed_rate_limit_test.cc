#include "holdfast/rate/keyed_rate_limit.h"

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::keyed_rate_limit_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

std::shared_ptr<KeyedTokenBucket> Buckets(KeyedTokenBucket::Limits limits,
                                          std::int64_t max_keys = 100) {
  return std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = limits, .max_keys = max_keys, .name = "customers"});
}

struct Order {
  std::string customer;
  std::int64_t items = 1;
};

const auto kSucceed = [] { return absl::OkStatus(); };
const auto kOrder = [](const Order&) { return absl::OkStatus(); };
const auto kCustomer = FromRequest<Order>(&Order::customer);

TEST_CASE("each key's calls wait for its own tokens") {
  FakeClock clock;
  const auto call =
      Stack(KeyedRateLimit(Buckets({.rate = 10, .burst = 1}))).Around(kSucceed, &clock);
  for (const char* key : {"a", "b", "c", ""}) CHECK(call.With({.key = key}).ok());
  CHECK(clock.Now() == TimePoint{0s});
  CHECK(call.With({.key = "b"}).ok());
  CHECK(clock.Now() == TimePoint{100ms});
  CHECK(call.With({.key = "a"}).ok());
  CHECK(clock.Now() == TimePoint{100ms});
}

TEST_CASE("a key may come from the request") {
  FakeClock clock;
  const auto buckets = Buckets({.rate = 1, .burst = 2});
  const auto call =
      Stack(KeyedRateLimit(buckets, {.key = kCustomer, .max_wait = 0s})).Around(kOrder, &clock);
  CHECK(call(Order{"a"}).ok());
  CHECK(call(Order{"a"}).ok());
  CHECK(call(Order{"b"}).ok());
  Report report;
  const absl::Status refused = call.With({.report = &report}, Order{"a"});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(RejectionOf(refused)->policy == "KeyedRateLimit");
  CHECK(RejectionOf(refused)->name == "customers");
  CHECK(report.retry_at == TimePoint{1s});
  CHECK(buckets->TokensAt(TimePoint{0s}, "b") == 1);
  CHECK_THROWS_AS(Stack(KeyedRateLimit(buckets, {.key = kCustomer})).Around(kSucceed, &clock)(),
                  std::invalid_argument);
}

TEST_CASE("a key's calls may cost more than a token, and settle what they did cost") {
  FakeClock clock;
  const auto buckets = Buckets({.rate = 10, .burst = 10});
  const auto items = FromRequest<Order>(&Order::items);
  const auto call = Stack(KeyedRateLimit(buckets, {.key = kCustomer, .cost = items},
                                         [](const Call&, const absl::Status&) { return 2; }))
                        .Around(kOrder, &clock);
  CHECK(call(Order{"a", 8}).ok());
  CHECK(buckets->TokensAt(TimePoint{0s}, "a") == 8);
  CHECK(call(Order{"b", 0}).ok());
  CHECK(buckets->TokensAt(TimePoint{0s}, "b") == 8);
  CHECK(call(Order{"b", 11}).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a call that is stopped while it waits gives its key's token back") {
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto buckets = Buckets({.rate = 1, .burst = 1});
  const auto call = Stack(KeyedRateLimit(buckets)).Around(kSucceed, &clock);
  CHECK(call.With({.key = "a"}).ok());
  std::stop_source stop;
  absl::Status status;
  std::jthread caller([&] { status = call.With({.stop = stop.get_token(), .key = "a"}); });
  clock.AwaitWaiters(1);
  CHECK(buckets->TokensAt(TimePoint{0s}, "a") == -1);
  stop.request_stop();
  caller.join();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(buckets->TokensAt(TimePoint{0s}, "a") == 0);
}

TEST_CASE("a key without room is refused, and the report says when there is some") {
  FakeClock clock;
  const auto call =
      Stack(KeyedRateLimit(Buckets({.rate = 1, .burst = 2}, 1))).Around(kSucceed, &clock);
  CHECK(call.With({.key = "a"}).ok());
  CHECK(call.With({.key = "a"}).ok());
  Report report;
  const absl::Status refused = call.With({.key = "b", .report = &report});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(refused.message()), test::ContainsSubstring("no room"));
  // A key that was used since it was looked at may take longer than that.
  CHECK(report.retry_at > TimePoint{0s});
  CHECK(report.retry_at <= TimePoint{2s});
  clock.Advance(2s);
  CHECK(call.With({.key = "b"}).ok());
}

TEST_CASE("waiting doesn't make room, so no deadline is to blame") {
  FakeClock clock;
  const auto call =
      Stack(KeyedRateLimit(Buckets({.rate = 1, .burst = 1}, 1))).Around(kSucceed, &clock);
  CHECK(call.With({.key = "a"}).ok());
  CHECK(call.With({.deadline = TimePoint{500ms}, .key = "b"}).code() ==
        absl::StatusCode::kResourceExhausted);
  CHECK(call.With({.deadline = TimePoint{500ms}, .key = "a"}).code() ==
        absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("keys without room may share a bucket, and wait for it") {
  FakeClock clock;
  const auto buckets = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 1, .burst = 2},
                                .max_keys = 1,
                                .when_full = KeyedTokenBucket::WhenFull::kShare});
  const auto call = Stack(KeyedRateLimit(buckets, {.max_wait = 500ms})).Around(kSucceed, &clock);
  CHECK(call.With({.key = "a"}).ok());
  CHECK(call.With({.key = "a"}).ok());
  for (const char* key : {"b", "c"}) CHECK(call.With({.key = key}).ok());
  Report report;
  const absl::Status refused = call.With({.key = "d", .report = &report});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(RejectionOf(refused)->policy == "KeyedRateLimit");
  CHECK(report.retry_at == TimePoint{500ms});
  clock.Advance(500ms);
  CHECK(call.With({.key = "e"}).ok());
  CHECK(clock.Now() == TimePoint{1s});
}

TEST_CASE("a key or limits that throw pass to the caller, and nothing is taken") {
  FakeClock clock;
  const auto buckets = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits_for = [](std::string_view key) -> KeyedTokenBucket::Limits {
        if (key == "unknown") throw std::out_of_range("who?");
        return {.rate = 1, .burst = 1};
      }});
  const auto throws = [](const Call& call) -> std::string_view {
    if (call.key().empty()) throw std::domain_error("no key");
    return call.key();
  };
  const auto call = Stack(KeyedRateLimit(buckets, {.key = throws})).Around(kSucceed, &clock);
  CHECK_THROWS_AS(call(), std::domain_error);
  CHECK_THROWS_AS(call.With({.key = "unknown"}), std::out_of_range);
  CHECK(buckets->size() == 0);
  CHECK(call.With({.key = "a"}).ok());
  CHECK(buckets->size() == 1);
}

TEST_CASE("an executor that throws has used its key's token") {
  FakeClock clock;
  const auto buckets = Buckets({.rate = 1, .burst = 3});
  const auto call = Stack(KeyedRateLimit(buckets))
                        .Around([]() -> absl::Status { throw std::runtime_error("down"); }, &clock);
  CHECK_THROWS_AS(call.With({.key = "a"}), std::runtime_error);
  CHECK(buckets->TokensAt(TimePoint{0s}, "a") == 2);
}

TEST_CASE("a keyed limit in a dry run lets all pass") {
  FakeClock clock;
  const auto call =
      Stack(KeyedRateLimit(Buckets({.rate = 1, .burst = 1}), {.max_wait = 0s, .dry_run = true}))
          .Around(kSucceed, &clock);
  Report report;
  CHECK(call.With({.key = "a"}).ok());
  CHECK(call.With({.key = "a", .report = &report}).ok());
  REQUIRE(report.dry_run.size() == 1);
  CHECK(report.dry_run[0].policy == "KeyedRateLimit");
}

TEST_CASE("a keyed limit refuses senseless options") {
  CHECK_THROWS_AS(KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>()), std::invalid_argument);
  CHECK_THROWS_WITH(KeyedRateLimit(Buckets({.rate = 1, .burst = 1}), {.max_wait = -1s}),
                    "KeyedRateLimit: max_wait must be >= 0");
  CHECK_THROWS_AS(KeyedRateLimit(KeyedTokenBucket::Options{.max_keys = 0}), std::invalid_argument);
  CHECK(Stack(KeyedRateLimit(KeyedTokenBucket::Options{.limits = {.rate = 1, .burst = 1}}))
            .Around(kSucceed)()
            .ok());
}

}  // namespace
}  // namespace holdfast::keyed_rate_limit_test
