// How a call is started, and what may be below a stack.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/asio/support/service.h"
#include "test/support/catch.h"

namespace holdfast::tokens_test {
namespace {

using namespace std::chrono_literals;
using testing::Ended;
using testing::FakeClock;
using testing::kDeferred;
using testing::Service;

using Number = absl::StatusOr<int>;

// Completes with twice its argument, through the context.
auto Doubler(net::io_context& io) {
  return [&io](int i, auto&& token) {
    return net::async_initiate<decltype(token), void(Number)>(
        [&io](auto handler, int value) {
          const auto executor = net::get_associated_executor(handler, io.get_executor());
          net::post(io, net::bind_executor(executor, [value, h = std::move(handler)]() mutable {
                      std::move(h)(Number(2 * value));
                    }));
        },
        token, i);
  };
}

// Waits for no time with a timer of its own, as a real operation would, and completes as Asio does.
auto Timer(net::io_context& io) {
  auto timer = std::make_shared<net::steady_timer>(io, 0s);
  return [timer](auto&& token) {
    timer->expires_after(0s);
    return timer->async_wait(std::forward<decltype(token)>(token));
  };
}

std::string WhatOf(const std::exception_ptr& error) {
  if (error == nullptr) return "";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

TEST_CASE("a callback gets an exception_ptr and the result") {
  net::io_context io;
  const auto call = Stack(Retry({})).AroundAsync(Doubler(io), io.get_executor());
  int calls = 0;
  call(21, [&](const std::exception_ptr& error, Number result) {
    ++calls;
    CHECK(error == nullptr);
    CHECK(result.value() == 42);
  });
  CHECK(calls == 0);
  io.run();
  CHECK(calls == 1);
}

// A temporary token, or one of several options, also where the compiler is g++ 12: see
// test/coroutine.
TEST_CASE("a coroutine says in braces what it has to say about a call") {
  net::io_context io;
  const auto call = Stack(Retry({}), Timeout(1h)).AroundAsync(Doubler(io), io.get_executor());
  int calls = 0;
  const auto caller = [&]() -> net::awaitable<void> {
    for (int i = 0; i < 50; ++i) {
      const std::stop_source source;
      const std::stop_token token = source.get_token();
      Report report;
      Number number = co_await call.With({.stop = token}, i, net::use_awaitable);
      if (number == Number(2 * i)) ++calls;
      number = co_await call.With({.stop = source.get_token(), .key = "key", .report = &report}, i,
                                  net::use_awaitable);
      if (number == Number(2 * i) && report.attempts == 1) ++calls;
    }
    std::stop_source source;
    source.request_stop();
    const Number stopped = co_await call.With({.stop = source.get_token()}, 1, net::use_awaitable);
    if (absl::IsCancelled(stopped.status())) ++calls;
  };
  net::co_spawn(io, caller, [](const std::exception_ptr& error) {
    if (error != nullptr) std::rethrow_exception(error);
  });
  io.run();
  CHECK(calls == 101);
}

TEST_CASE("a callback may take the result alone, and is not called for an exception") {
  net::io_context io;
  const auto call = Stack(Retry({})).AroundAsync(Doubler(io), io.get_executor());
  std::optional<Number> got;
  call(21, [&](Number result) { got = std::move(result); });
  call(4, net::bind_executor(net::make_strand(io),
                             [](const Number& result) { CHECK(result.value() == 8); }));
  io.run();
  REQUIRE(got);
  CHECK(got->value() == 42);

  const auto broken = Stack(Timeout(60s))
                          .AroundAsync(
                              [](auto&& token) {
                                return net::async_initiate<decltype(token), void(absl::Status)>(
                                    [](auto) { throw std::runtime_error("no"); }, token);
                              },
                              io.get_executor());
  broken([](const absl::Status&) { FAIL("called"); });
  io.restart();
  CHECK_THROWS_AS(io.run(), std::runtime_error);
  // The timer of a call that ended so does not keep the context running either.
  const auto began = std::chrono::steady_clock::now();
  io.run();
  CHECK(std::chrono::steady_clock::now() - began < 10s);
}

TEST_CASE("a future gets the result, or the exception") {
  net::io_context io;
  const auto call = Stack(Retry({}), Timeout(60s)).AroundAsync(Doubler(io), io.get_executor());
  std::future<Number> future = call(21, net::use_future);
  const auto throws = Stack().AroundAsync(
      []() -> net::awaitable<absl::Status> {
        throw std::runtime_error("no");
        co_return absl::OkStatus();
      },
      io.get_executor());
  std::future<absl::Status> broken = throws(net::use_future);
  io.run();
  CHECK(future.get().value() == 42);
  CHECK_THROWS_AS(broken.get(), std::runtime_error);
}

TEST_CASE("a coroutine awaits the result, or catches the exception") {
  net::io_context io;
  const auto call = Stack(Retry({})).AroundAsync(Doubler(io));
  const auto throws = Stack().AroundAsync([]() -> net::awaitable<absl::Status> {
    throw std::runtime_error("no");
    co_return absl::OkStatus();
  });
  std::vector<std::string> seen;
  net::co_spawn(
      io,
      [&]() -> net::awaitable<void> {
        const Number result = co_await call(21, net::use_awaitable);
        seen.push_back(std::to_string(result.value()));
        try {
          (void)co_await throws(net::use_awaitable);
        } catch (const std::runtime_error& e) {
          seen.emplace_back(e.what());
        }
      },
      net::detached);
  io.run();
  CHECK(seen == std::vector<std::string>{"42", "no"});
}

TEST_CASE("a deferred call starts when it is told to, and not at all if it is dropped") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{0s, absl::OkStatus()}});
  const auto call = Stack(Retry({})).AroundAsync(service.executor(), io.get_executor(), &clock);
  {
    const auto dropped = call(kDeferred);
  }
  auto deferred = call(kDeferred);
  RunVirtual(io, clock);
  CHECK(service.started().empty());
  Ended ended;
  std::move(deferred)(ended.handler());
  RunVirtual(io, clock);
  CHECK(service.started().size() == 1);
  CHECK(ended.calls == 1);
  CHECK(ended.status.ok());
}

TEST_CASE("a detached call runs") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{5s, absl::UnavailableError("no")}, {5s, absl::OkStatus()}});
  const auto call =
      Stack(Retry({.backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()}))
          .AroundAsync(service.executor(), io.get_executor(), &clock);
  call(net::detached);
  RunVirtual(io, clock);
  CHECK(service.started() == std::vector<TimePoint>{TimePoint{}, TimePoint{6s}});
}

TEST_CASE("a handler may be move-only, and runs in its own executor") {
  net::io_context io;
  net::io_context other;
  const auto call = Stack(Retry({})).AroundAsync(Doubler(io), io.get_executor());
  int got = 0;
  bool in_other = false;
  call(21, net::bind_executor(other.get_executor(), [&, owned = std::make_unique<int>(1)](
                                                        const std::exception_ptr&, Number result) {
         got = result.value() + *owned;
         in_other = other.get_executor().running_in_this_thread();
       }));
  // The operation is its handler's context's, whatever the executor's operation runs in.
  for (int i = 0; i < 4; ++i) {
    testing::Poll(io);
    testing::Poll(other);
  }
  CHECK(got == 43);
  CHECK(in_other);
}

TEST_CASE("the system's executor serves where no other is given") {
  const auto call = Stack(Retry({}), Timeout(60s)).AroundAsync([](auto&& token) {
    return net::async_initiate<decltype(token), void(Number)>(
        [](auto handler) {
          net::post(net::system_executor(),
                    [h = std::move(handler)]() mutable { std::move(h)(Number(7)); });
        },
        token);
  });
  CHECK(call(net::use_future).get().value() == 7);
}

TEST_CASE("an operation with an error_code is an executor") {
  net::io_context io;
  const auto call = Stack(Retry({})).AroundAsync(Timer(io), io.get_executor());
  Ended ended;
  call(ended.handler());
  io.run();
  CHECK(ended.calls == 1);
  CHECK(ended.status.ok());
}

// Completes with `error`, and with a value or two.
template <class... Values>
auto Completing(net::io_context& io, internal::ErrorCode error, Values... values) {
  return [&io, error, values...](auto&& token) {
    return net::async_initiate<decltype(token), void(internal::ErrorCode, Values...)>(
        [&io, error, values...](auto handler) {
          net::post(io, [error, values..., h = std::move(handler)]() mutable {
            std::move(h)(error, std::move(values)...);
          });
        },
        token);
  };
}

TEST_CASE("an operation with an error_code and values completes with a StatusOr") {
  net::io_context io;
  const auto value = Stack().AroundAsync(Completing(io, {}, std::string("body")));
  const auto values = Stack().AroundAsync(Completing(io, {}, 1, std::string("two")));
  const auto fails =
      Stack().AroundAsync(Completing(io, internal::ErrorCode(net::error::connection_refused), 1));
  auto body = value(net::use_future);
  auto both = values(net::use_future);
  auto failed = fails(net::use_future);
  io.run();
  CHECK(body.get().value() == "body");
  CHECK(both.get().value() == std::tuple(1, std::string("two")));
  CHECK(failed.get().status().code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("what an error_code means as a status") {
  const auto code = [](auto error) { return StatusOf(internal::ErrorCode(error)).code(); };
  CHECK(StatusOf(internal::ErrorCode()).ok());
  CHECK(code(net::error::operation_aborted) == absl::StatusCode::kCancelled);
  CHECK(code(net::error::timed_out) == absl::StatusCode::kDeadlineExceeded);
  CHECK(code(net::error::connection_refused) == absl::StatusCode::kUnavailable);
  CHECK(code(net::error::connection_reset) == absl::StatusCode::kUnavailable);
  CHECK(code(net::error::broken_pipe) == absl::StatusCode::kUnavailable);
  CHECK(code(net::error::host_unreachable) == absl::StatusCode::kUnavailable);
  CHECK(code(net::error::eof) == absl::StatusCode::kUnavailable);
  CHECK(code(net::error::host_not_found_try_again) == absl::StatusCode::kUnavailable);
  CHECK(code(net::error::access_denied) == absl::StatusCode::kPermissionDenied);
  CHECK(code(net::error::host_not_found) == absl::StatusCode::kUnknown);
  const absl::Status refused = StatusOf(internal::ErrorCode(net::error::connection_refused));
  CHECK_FALSE(refused.message().empty());
}

TEST_CASE("an operation may take the call, for its deadline and the attempt's number") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{1s, absl::UnavailableError("no")}, {1s, absl::OkStatus()}});
  std::vector<int> attempts;
  std::vector<TimePoint> deadlines;
  std::vector<std::string> keys;
  const auto call =
      Stack(Timeout(10s),
            Retry({.backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()}),
            Timeout(3s))
          .AroundAsync(
              [&](int argument, Call& c, auto&& token) {
                attempts.push_back(argument * c.attempt());
                deadlines.push_back(c.deadline());
                keys.emplace_back(c.key());
                return service.Ask(std::forward<decltype(token)>(token));
              },
              io.get_executor(), &clock);
  Ended ended;
  call.With({.key = "mine"}, 7, ended.handler());
  RunVirtual(io, clock);
  CHECK(ended.status.ok());
  // More often than it was asked: also where the types of its completion were looked at, unrun.
  CHECK(attempts == std::vector<int>{7, 14});
  CHECK(deadlines == std::vector<TimePoint>{TimePoint{3s}, TimePoint{5s}});
  CHECK(keys == std::vector<std::string>{"mine", "mine"});
}

TEST_CASE("a coroutine is an executor, with the call and without") {
  net::io_context io;
  const auto plain = Stack(Retry({})).AroundAsync(
      [](const std::string& text) -> net::awaitable<absl::StatusOr<std::string>> {
        co_return text + "!";
      },
      io.get_executor());
  const auto with_call =
      Stack(Retry({.backoff = Backoff::Constant(1us), .budget = RetryBudget::Unlimited()}))
          .AroundAsync(
              [](const std::string& text,
                 Call& call) -> net::awaitable<absl::StatusOr<std::string>> {
                if (call.attempt() < 3) co_return absl::UnavailableError("no");
                co_return text + std::to_string(call.attempt());
              },
              io.get_executor());
  const auto no_result =
      Stack().AroundAsync([]() -> net::awaitable<void> { co_return; }, io.get_executor());
  auto a = plain(std::string("hello"), net::use_future);
  auto b = with_call("hello", net::use_future);
  auto c = no_result(net::use_future);
  io.run();
  CHECK(a.get().value() == "hello!");
  CHECK(b.get().value() == "hello3");
  CHECK(c.get().ok());
}

TEST_CASE("each attempt gets the call's own copy of the arguments") {
  net::io_context io;
  std::vector<const std::string*> seen;
  int counted = 0;
  const auto call = Stack(Retry({.max_attempts = 2,
                                 .backoff = Backoff::Constant(1us),
                                 .budget = RetryBudget::Unlimited()}))
                        .AroundAsync(
                            [&](const std::string& text, const std::shared_ptr<int>& shared,
                                int& count) -> net::awaitable<absl::Status> {
                              seen.push_back(&text);
                              count += *shared + static_cast<int>(text.size());
                              co_return absl::UnavailableError("again");
                            },
                            io.get_executor());
  auto done = [&] {
    const std::string mine = "text";
    auto future = call(mine, std::make_shared<int>(10), std::ref(counted), net::use_future);
    CHECK(seen.empty());
    return future;
  }();
  io.run();
  CHECK(done.get().code() == absl::StatusCode::kUnavailable);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == seen[1]);
  CHECK(counted == 28);
}

TEST_CASE("a stack in a stack learns the deadline and the key, and hands out a refusal") {
  net::io_context io;
  FakeClock clock;
  TimePoint deadline;
  std::string key;
  auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{
      .timeout = 30s, .ready_to_trip = [](const BreakerCounts&) { return true; }, .clock = &clock});
  const auto inner = Stack(CircuitBreak(breaker))
                         .AroundAsync(
                             [&](Call& call) -> net::awaitable<absl::Status> {
                               deadline = call.deadline();
                               key = call.key();
                               co_return absl::OkStatus();
                             },
                             io.get_executor(), &clock);
  const auto outer = Stack(Timeout(9s), Retry({.budget = RetryBudget::Unlimited()}))
                         .AroundAsync(inner, io.get_executor(), &clock);
  Ended ended;
  outer.With({.key = "mine"}, ended.handler());
  RunVirtual(io, clock);
  CHECK(ended.status.ok());
  CHECK(deadline == TimePoint{9s});
  CHECK(key == "mine");

  breaker->Admit()->Done(holdfast::Outcome::kFailure);
  Report report;
  Ended refused;
  outer.With({.report = &report}, refused.handler(&clock));
  RunVirtual(io, clock);
  CHECK(RejectionOf(refused.status)->policy == "CircuitBreak");
  CHECK(report.retry_at == breaker->retry_at());
  CHECK(refused.at == TimePoint{});
  CHECK(report.ended_by == EndReason::kRejected);
}

TEST_CASE("what is thrown reaches the handler once, with every permit back") {
  net::io_context io;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  const auto stack = Stack(Bulkhead(semaphore), CircuitBreak(breaker), Timeout(60s));
  Ended ended;

  SECTION("by a coroutine, before its first suspension and after") {
    const bool late = GENERATE(false, true);
    stack.AroundAsync(
        [late]() -> net::awaitable<absl::Status> {
          if (late) co_await net::post(net::use_awaitable);
          throw std::runtime_error("broken");
          co_return absl::OkStatus();
        },
        io.get_executor())(ended.handler());
    io.run();
    CHECK(breaker->counts().failures == 1);
  }
  SECTION("by an operation that completes with it") {
    stack.AroundAsync(
        [&io](auto&& token) {
          return net::async_initiate<decltype(token), void(std::exception_ptr, Number)>(
              [&io](auto handler) {
                net::post(io, [h = std::move(handler)]() mutable {
                  std::move(h)(std::make_exception_ptr(std::runtime_error("broken")), Number(1));
                });
              },
              token);
        },
        io.get_executor())([&](std::exception_ptr error, const Number&) {
      ended.handler()(std::move(error), absl::OkStatus());
    });
    io.run();
    CHECK(breaker->counts().failures == 1);
  }
  SECTION("by an initiating function") {
    const bool keeps = GENERATE(false, true);
    auto kept = std::make_shared<std::vector<std::shared_ptr<void>>>();
    stack.AroundAsync(
        [keeps, kept](auto&& token) {
          return net::async_initiate<decltype(token), void(absl::Status)>(
              [keeps, kept](auto handler) {
                // Whether or not somebody else has the handler by then.
                auto shared = std::make_shared<decltype(handler)>(std::move(handler));
                if (keeps) kept->push_back(shared);
                throw std::runtime_error("broken");
              },
              token);
        },
        io.get_executor())(ended.handler());
    CHECK(ended.calls == 0);
    io.run_for(1s);
    kept->clear();
    io.run_for(1s);
    CHECK(breaker->counts().failures == 1);
  }
  SECTION("by a check for retries") {
    Stack(
        Retry({},
              [](const Call&, const absl::Status&) -> bool { throw std::runtime_error("broken"); }),
        stack)
        .AroundAsync([]() -> net::awaitable<absl::Status> { co_return absl::OkStatus(); },
                     io.get_executor())(ended.handler());
    io.run();
  }
  SECTION("by a breaker's classify") {
    auto throwing = std::make_shared<CircuitBreaker>(
        CircuitBreaker::Options{.classify = [](const absl::Status&) -> holdfast::Outcome {
          throw std::runtime_error("broken");
        }});
    Stack(Bulkhead(semaphore), CircuitBreak(throwing))
        .AroundAsync([]() -> net::awaitable<absl::Status> { co_return absl::OkStatus(); },
                     io.get_executor())(ended.handler());
    io.run();
  }
  CHECK(ended.calls == 1);
  CHECK(WhatOf(ended.error) == "broken");
  CHECK(semaphore->in_use() == 0);
}

}  // namespace
}  // namespace holdfast::tokens_test
