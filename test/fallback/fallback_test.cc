#include "holdfast/fallback/fallback.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <stop_token>

#include "holdfast/base/rejection.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::fallback_test {
namespace {

using namespace std::chrono_literals;
using Result = absl::StatusOr<int>;

const absl::Status kDown = absl::UnavailableError("down");

// Counts its calls, and keeps the last status that it was given.
struct Answer {
  int operator()(const absl::Status& why) const {
    ++*calls;
    *last = why;
    return 7;
  }
  int* calls;
  absl::Status* last;
};

struct Fixture {
  testing::FakeClock clock;
  int calls = 0;
  absl::Status last;
  Fallback<Answer> fallback{Answer{&calls, &last}};
};

TEST_CASE_METHOD(Fixture, "a fallback replaces a failure, and leaves a success alone",
                 "[fallback]") {
  Result result = 1;
  const auto call = Stack(fallback).Around([&] { return result; }, &clock);
  CHECK(call() == Result(1));
  CHECK(calls == 0);
  result = kDown;
  CHECK(call() == Result(7));
  CHECK(calls == 1);
  CHECK(last == kDown);
}

TEST_CASE_METHOD(Fixture, "a fallback is called once, after the last retry", "[fallback]") {
  int attempts = 0;
  const auto call = Stack(fallback, Retry({.max_attempts = 3}))
                        .Around(
                            [&]() -> Result {
                              ++attempts;
                              return kDown;
                            },
                            &clock);
  CHECK(call() == Result(7));
  CHECK(attempts == 3);
  CHECK(calls == 1);
}

TEST_CASE_METHOD(Fixture, "a fallback replaces a rejection", "[fallback]") {
  const auto permits = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto held = permits->TryAcquire();
  const auto call = Stack(fallback, Bulkhead(permits, {.max_wait = 0s}))
                        .Around([]() -> Result { return 1; }, &clock);
  CHECK(call() == Result(7));
  CHECK(RejectionOf(last).has_value());
}

TEST_CASE_METHOD(Fixture, "a fallback is not called for a call that its caller cancelled",
                 "[fallback]") {
  std::stop_source stop;
  bool executor_stops = true;
  const auto call = Stack(fallback).Around(
      [&]() -> Result {
        stop.request_stop();
        if (executor_stops) return absl::CancelledError("stopped");
        return kDown;
      },
      &clock);
  SECTION("before it began") {
    stop.request_stop();
    CHECK(absl::IsCancelled(call.With({.stop = stop.get_token()}).status()));
    CHECK(calls == 0);
  }
  SECTION("while the executor ran, which looked at the stop token") {
    CHECK(absl::IsCancelled(call.With({.stop = stop.get_token()}).status()));
    CHECK(calls == 0);
  }
  SECTION("but for a service that is the one to cancel") {
    CHECK(call.With({}) == Result(7));
    CHECK(calls == 1);
  }
}

TEST_CASE("what a fallback throws passes to the caller", "[fallback]") {
  const auto call = Stack(Fallback([](const absl::Status&) -> int {
                      throw std::runtime_error("odd");
                    })).Around([]() -> Result { return kDown; });
  CHECK_THROWS_AS(call(), std::runtime_error);
}

}  // namespace
}  // namespace holdfast::fallback_test
