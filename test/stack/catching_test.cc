// Executors that throw: tried again, counted and reported, and what they threw comes out.
#include "holdfast/stack/catching.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::catching_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

struct DbError : std::runtime_error {
  DbError(const std::string& what, bool may_pass)
      : std::runtime_error(what), busy(may_pass), number(++made) {}
  bool busy;
  int number;
  static inline int made = 0;
};
struct DbBusy : DbError {
  explicit DbBusy(const std::string& what = "busy") : DbError(what, true) {}
};

absl::Status Classify(const DbError& error) {
  return error.busy ? absl::UnavailableError(error.what()) : absl::InternalError(error.what());
}

// The exception's own address and type, or null.
template <class E, class F>
const E* ThrownBy(const F& f, std::exception_ptr& kept) {
  try {
    f();
  } catch (const E& e) {
    kept = std::current_exception();
    return &e;
  }
  return nullptr;
}

TEST_CASE("an exception that may pass is tried again, and a success is the result itself") {
  FakeClock clock;
  int calls = 0;
  const auto query = Stack(Retry({})).Around(Catching(
                                                 [&](int rows) {
                                                   if (++calls < 3) throw DbBusy();
                                                   return rows;
                                                 },
                                                 Classify),
                                             &clock);
  Report report;
  const int rows = query.With({.report = &report}, 7);
  CHECK(rows == 7);
  CHECK(calls == 3);
  REQUIRE(report.history.size() == 3);
  CHECK(report.history[0].outcome == absl::UnavailableError("busy"));
  CHECK(report.history[2].outcome.ok());
  CHECK(report.ended_by == EndReason::kSuccess);
}

TEST_CASE("the last exception comes out as the object that was thrown") {
  FakeClock clock;
  const void* thrown = nullptr;
  const auto query = Stack(Retry({.max_attempts = 3}), Timeout(1h))
                         .Around(Catching(
                                     [&]() -> std::string {
                                       try {
                                         throw DbBusy();
                                       } catch (const DbBusy& e) {
                                         thrown = &e;
                                         throw;
                                       }
                                     },
                                     RetryOn<DbError>()),
                                 &clock);
  DbError::made = 0;
  std::exception_ptr kept;
  Report report;
  const auto* const e = ThrownBy<DbBusy>([&] { query.With({.report = &report}); }, kept);
  REQUIRE(e != nullptr);
  CHECK(e == thrown);
  CHECK(e->number == 3);
  CHECK(report.attempts == 3);
  CHECK(report.ended_by == EndReason::kAttempts);
}

TEST_CASE("an exception that won't pass is not tried again") {
  FakeClock clock;
  int calls = 0;
  const bool declared = GENERATE(true, false);
  const auto fail = [&]() -> int {
    ++calls;
    throw DbError("no such table", false);
  };
  if (declared) {
    const auto query = Stack(Retry({})).Around(Catching(fail, RetryOn<DbBusy>()), &clock);
    CHECK_THROWS_AS(query(), DbError);
  } else {
    const auto query = Stack(Retry({})).Around(Catching(fail), &clock);
    CHECK_THROWS_WITH(query(), "no such table");
  }
  CHECK(calls == 1);
}

TEST_CASE("a breaker and the hooks of Retry see an exception by its status") {
  FakeClock clock;
  auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.rules = {ConsecutiveFailures(3)}, .clock = &clock});
  int told = 0;
  const RetryOptions retry{.max_attempts = 2, .on_attempt = [&](const Call&, const RetryEvent& e) {
                             if (e.outcome == absl::InternalError("broken")) ++told;
                           }};
  // An answer that is thrown is a success to them, and an exception to the caller.
  bool answer = true;
  const auto query =
      Stack(Retry(retry), CircuitBreak(breaker))
          .Around(
              Catching([&]() -> int { throw DbError(answer ? "none" : "broken", false); },
                       [&](const DbError& e) { return answer ? absl::OkStatus() : Classify(e); }),
              &clock);
  for (int i = 0; i < 5; ++i) CHECK_THROWS_AS(query(), DbError);
  CHECK(breaker->counts().successes == 5);
  answer = false;
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(query(), DbError);
  CHECK(told == 3);
  CHECK(breaker->state() == BreakerState::kOpen);

  // Refused: an int has no room for that.
  const auto refused = Stack(CircuitBreak(breaker)).Around(Catching([] { return 1; }), &clock);
  try {
    refused();
    FAIL("the breaker is open");
  } catch (const StatusError& e) {
    const auto rejection = RejectionOf(e.status());
    REQUIRE(rejection);
    CHECK(rejection->kind == RejectionKind::kCircuitOpen);
    CHECK(std::string(e.what()).find("UNAVAILABLE") != std::string::npos);
  }
}

TEST_CASE("void is a success unless it throws") {
  FakeClock clock;
  int calls = 0;
  const auto ping = Stack(Retry({})).Around(Catching(
                                                [&] {
                                                  if (++calls < 3) throw DbBusy();
                                                },
                                                Classify),
                                            &clock);
  static_assert(std::is_void_v<decltype(ping())>);
  ping();
  CHECK(calls == 3);
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(ping.With({.stop = stop.get_token()}), StatusError);
  const AnyExecutor<void()> any = ping;
  any();
  CHECK(calls == 4);
}

TEST_CASE("a result with room for a status keeps it, and a move-only one is moved") {
  FakeClock clock;
  int calls = 0;
  using Page = absl::StatusOr<std::unique_ptr<std::string>>;
  const auto get =
      Stack(Retry({}), Timeout(1h))
          .Around(Catching([&](const std::unique_ptr<int>& size) -> Page {
                    if (++calls == 1)
                      throw std::system_error(std::make_error_code(std::errc::connection_refused));
                    if (calls == 2) return absl::UnavailableError("later");
                    return std::make_unique<std::string>(*size, 'x');
                  }),
                  &clock);
  const Page page = get(std::make_unique<int>(3));
  CHECK(**page == "xxx");
  CHECK(calls == 3);
  std::stop_source stop;
  stop.request_stop();
  const Page refused = get.With({.stop = stop.get_token()}, std::make_unique<int>(3));
  CHECK(absl::IsCancelled(refused.status()));

  const auto make = Stack(Retry({})).Around(Catching([] { return std::make_unique<int>(5); }));
  CHECK(*make() == 5);
}

TEST_CASE("the first classifier that knows an exception says what it is") {
  FakeClock clock;
  int what = 0;
  const auto throwing = [&]() -> int {
    if (what == 0) throw DbBusy();
    if (what == 1) throw std::out_of_range("far");
    if (what == 2) throw 5;
    throw std::system_error(std::make_error_code(std::errc::timed_out));
  };
  const auto call =
      Stack(Retry({.max_attempts = 1}))
          .Around(
              Catching(throwing, RetryOn<std::out_of_range, int>(), Classify,
                       [](const std::exception_ptr&) -> std::optional<absl::Status> { return {}; }),
              &clock);
  const auto status_of = [&](int thrown) {
    what = thrown;
    Report report;
    CHECK_THROWS(call.With({.report = &report}));
    return report.history.back().outcome;
  };
  CHECK(status_of(0) == absl::UnavailableError("busy"));
  CHECK(status_of(1) == absl::UnavailableError("far"));
  CHECK(absl::IsUnavailable(status_of(2)));
  CHECK(absl::IsDeadlineExceeded(status_of(3)));
}

TEST_CASE("what a classifier throws passes to the caller") {
  FakeClock clock;
  int calls = 0;
  const auto call = Stack(Retry({})).Around(
      Catching(
          [&]() -> int {
            ++calls;
            throw DbBusy();
          },
          [](const DbError&) -> absl::Status { throw std::logic_error("classifier"); }),
      &clock);
  CHECK_THROWS_AS(call(), std::logic_error);
  CHECK(calls == 1);
}

TEST_CASE("a check and a Fallback are given what was caught") {
  FakeClock clock;
  int calls = 0;
  const auto throwing = [&]() -> int {
    ++calls;
    throw DbError("deadlock", false);
  };
  const auto check = [](const Call&, const Caught<int>& result) {
    return result.exception() != nullptr && result.status().message() == "deadlock";
  };
  const auto call =
      Stack(Fallback([](const absl::Status&) { return 42; }), Retry({.max_attempts = 2}, check))
          .Around(Catching(throwing, Classify), &clock);
  CHECK(call() == 42);
  CHECK(calls == 2);
}

TEST_CASE("a stack hands on what it caught to a stack around it") {
  FakeClock clock;
  int calls = 0;
  const auto inner = Stack(Timeout(1h))
                         .Around(Catching(
                                     [&](int i) {
                                       if (++calls < 3) throw DbBusy();
                                       return i;
                                     },
                                     Classify),
                                 &clock);
  const auto outer = Stack(Retry({})).Around(inner, &clock);
  CHECK(outer(5) == 5);
  CHECK(calls == 3);

  // Behind a boundary that throws, caught again.
  calls = 0;
  const AnyExecutor<int(int)> any = inner;
  const auto again = Stack(Retry({})).Around(Catching(any, Classify), &clock);
  CHECK(again(6) == 6);
  CHECK(calls == 3);
}

TEST_CASE("the refusal of a stack inside is one to the stack around it") {
  FakeClock clock;
  auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.clock = &clock});
  breaker->SetMode(BreakerMode::kForcedOpen);
  const AnyExecutor<int()> any =
      Stack(CircuitBreak(breaker)).Around(Catching([] { return 1; }), &clock);
  auto outside = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.clock = &clock});
  const auto call = Stack(CircuitBreak(outside)).Around(Catching(any), &clock);
  CHECK_THROWS_AS(call(), StatusError);
  CHECK(outside->counts().failures == 0);
  CHECK(outside->counts().ignored == 1);
}

TEST_CASE("branches in a thread pool are caught as well") {
  auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{.max_threads = 2});
  std::atomic<int> calls = 0;
  const auto call = Stack(Retry({.backoff = Backoff::Constant(0s)}), Timeout(1h, pool))
                        .Around(Catching(
                            [&](int i) {
                              if (calls.fetch_add(1, std::memory_order_relaxed) < 2) throw DbBusy();
                              return i;
                            },
                            Classify));
  CHECK(call(9) == 9);
  CHECK(calls.load() == 3);
}

TEST_CASE("in a simulation a reply that throws is caught") {
  testing::World world(1);
  int calls = 0;
  const auto executor = [&](Call&, testing::Reply<Caught<int>> reply) {
    if (++calls == 1) throw DbBusy();
    world.After(10ms, [&calls, reply] {
      if (calls == 2) return reply.Throw(std::make_exception_ptr(DbBusy()));
      if (calls == 4) return reply.Throw(std::make_exception_ptr(DbError("broken", false)));
      reply.Done(calls);
    });
  };
  const auto call = testing::Simulate<int>(world, Stack(Retry({})), Catching(executor, Classify));
  std::optional<int> result;
  call([&](int done) { result = done; });
  world.RunFor(1min);
  CHECK(result == 3);

  std::exception_ptr error;
  call([](int) { FAIL(); }, [&](std::exception_ptr e) { error = std::move(e); });
  world.RunFor(1min);
  REQUIRE(error != nullptr);
  CHECK_THROWS_AS(std::rethrow_exception(error), DbError);
  CHECK(calls == 4);
}

}  // namespace
}  // namespace holdfast::catching_test
