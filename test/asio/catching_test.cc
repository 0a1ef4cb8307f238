// Asynchronous executors that throw: see test/catching_test.cc.
#include "holdfast/stack/catching.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/asio/support/net.h"
#include "test/support/catch.h"

namespace holdfast::catching_test {
namespace {

using namespace std::chrono_literals;

struct Busy : std::runtime_error {
  Busy() : std::runtime_error("busy") {}
};

const RetryOptions kAtOnce{.backoff = Backoff::Constant(0s)};

template <class T>
struct Outcome {
  std::optional<T> value;
  std::exception_ptr error;
};

// What a coroutine gets by awaiting what `start` starts.
template <class T, class F>
Outcome<T> Await(net::io_context& io, const F& start) {
  Outcome<T> outcome;
  const auto caller = [&]() -> net::awaitable<void> { outcome.value = co_await start(); };
  net::co_spawn(io, caller, [&](std::exception_ptr e) { outcome.error = std::move(e); });
  io.run();
  io.restart();
  return outcome;
}

TEST_CASE("a coroutine that throws what may pass is tried again") {
  net::io_context io;
  int calls = 0;
  const auto ask = [&](int i) -> net::awaitable<int> {
    co_await net::post(io, net::use_awaitable);
    if (++calls < 3) throw Busy();
    co_return i;
  };
  const auto call =
      Stack(Retry(kAtOnce), Timeout(1h)).AroundAsync(Catching(ask, RetryOn<Busy>()), io);
  Report report;
  auto outcome =
      Await<int>(io, [&] { return call.With({.report = &report}, 7, net::use_awaitable); });
  CHECK(outcome.error == nullptr);
  CHECK(outcome.value == 7);
  CHECK(calls == 3);
  REQUIRE(report.history.size() == 3);
  CHECK(absl::IsUnavailable(report.history[0].outcome));

  calls = -10;
  outcome = Await<int>(io, [&] { return call(7, net::use_awaitable); });
  CHECK(calls == -6);
  CHECK_THROWS_AS(std::rethrow_exception(outcome.error), Busy);

  std::stop_source stop;
  stop.request_stop();
  const std::stop_token token = stop.get_token();
  outcome = Await<int>(io, [&] { return call.With({.stop = token}, 7, net::use_awaitable); });
  try {
    std::rethrow_exception(outcome.error);
    FAIL("it was cancelled");
  } catch (const StatusError& e) {
    CHECK(absl::IsCancelled(e.status()));
  }
}

TEST_CASE("a coroutine of nothing completes with an exception or none") {
  net::io_context io;
  int calls = 0;
  const auto ping = [&]() -> net::awaitable<void> {
    if (++calls != 2) throw Busy();
    co_return;
  };
  const auto call = Stack(Retry(kAtOnce)).AroundAsync(Catching(ping, RetryOn<Busy>()), io);
  int good = 0;
  call([&](const std::exception_ptr& error) { good += error == nullptr ? 1 : 0; });
  io.run();
  CHECK(good == 1);
  call([&](const std::exception_ptr& error) { good += error != nullptr ? 1 : 0; });
  io.restart();
  io.run();
  CHECK(good == 2);
  CHECK(calls == 6);
  // One that takes no exception leaves it to run().
  call([&] { ++good; });
  io.restart();
  CHECK_THROWS_AS(io.run(), Busy);
  auto future = call(net::use_future);
  io.restart();
  io.run();
  CHECK_THROWS_AS(future.get(), Busy);
  CHECK(good == 2);
}

TEST_CASE("an operation that throws before it begins is tried again") {
  net::io_context io;
  int calls = 0;
  const auto operation = [&](int i, auto&& token) {
    return net::async_initiate<decltype(token), void(int)>(
        [&](auto handler, int value) {
          if (++calls < 3) throw Busy();
          net::post(io, [value, h = std::move(handler)]() mutable { std::move(h)(value); });
        },
        token, i);
  };
  const auto call = Stack(Retry(kAtOnce)).AroundAsync(Catching(operation, RetryOn<Busy>()), io);
  int got = 0;
  call(5, [&](int value) { got = value; });
  io.run();
  CHECK(got == 5);
  CHECK(calls == 3);
}

TEST_CASE("a stack hands on what it caught to an asynchronous stack around it") {
  net::io_context io;
  int calls = 0;
  const auto ask = [&]() -> net::awaitable<std::string> {
    if (++calls < 3) throw Busy();
    co_return "x";
  };
  const auto inner = Stack(Timeout(1h)).AroundAsync(Catching(ask, RetryOn<Busy>()), io);
  const auto outer = Stack(Retry(kAtOnce)).AroundAsync(inner, io);
  CHECK(Await<std::string>(io, [&] { return outer(net::use_awaitable); }).value == "x");
  CHECK(calls == 3);
  calls = 0;
  const auto again = Stack(Retry(kAtOnce)).AroundAsync(Catching(inner, RetryOn<Busy>()), io);
  CHECK(Await<std::string>(io, [&] { return again(net::use_awaitable); }).value == "x");
  CHECK(calls == 3);
}

TEST_CASE("branches of an asynchronous call are caught as well") {
  net::io_context io;
  int calls = 0;
  const auto ask = [&](int i) -> net::awaitable<int> {
    if (++calls < 3) throw Busy();
    co_return i;
  };
  auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{.max_threads = 1});
  const auto call =
      Stack(Retry(kAtOnce), Timeout(1h, pool)).AroundAsync(Catching(ask, RetryOn<Busy>()), io);
  CHECK(Await<int>(io, [&] { return call(6, net::use_awaitable); }).value == 6);
  CHECK(calls == 3);
}

TEST_CASE("an attempt that is cut off throws as a status error") {
  net::io_context io;
  const auto hang = [&]() -> net::awaitable<int> {
    net::steady_timer timer(io, 1h);
    co_await timer.async_wait(net::use_awaitable);
    co_return 1;
  };
  const auto call = Stack(Timeout(1ms)).AroundAsync(Catching(hang), io);
  const auto outcome = Await<int>(io, [&] { return call(net::use_awaitable); });
  try {
    std::rethrow_exception(outcome.error);
    FAIL("it was too late");
  } catch (const StatusError& e) {
    CHECK(absl::IsDeadlineExceeded(e.status()));
  }
}

TEST_CASE("a coroutine's system_error is what an operation's error_code is") {
  net::io_context io;
  int calls = 0;
  const auto ask = [&]() -> net::awaitable<absl::StatusOr<int>> {
    if (++calls < 3) throw internal::SystemError(make_error_code(net::error::eof));
    co_return 5;
  };
  const auto call = Stack(Retry(kAtOnce)).AroundAsync(ask, io);
  using Number = absl::StatusOr<int>;
  CHECK(Await<Number>(io, [&] { return call(net::use_awaitable); }).value == Number(5));
  CHECK(calls == 3);
  const auto nothing = [&]() -> net::awaitable<void> {
    if (++calls < 3) throw internal::SystemError(make_error_code(net::error::connection_reset));
    co_return;
  };
  calls = 0;
  const auto ping = Stack(Retry(kAtOnce)).AroundAsync(nothing, io);
  CHECK(Await<absl::Status>(io, [&] { return ping(net::use_awaitable); }).value ==
        absl::OkStatus());
  CHECK(calls == 3);
  // And to an executor in Catching, where no classifier knows it; it is thrown in the end.
  calls = -10;
  const auto caught = Stack(Retry(kAtOnce)).AroundAsync(Catching(nothing, RetryOn<Busy>()), io);
  std::exception_ptr error;
  caught([&](std::exception_ptr e) { error = std::move(e); });
  io.restart();
  io.run();
  CHECK(calls == -6);
  CHECK_THROWS_AS(std::rethrow_exception(error), internal::SystemError);
}

TEST_CASE("error codes of Asio are statuses") {
  const auto unavailable = [](auto code) {
    return absl::IsUnavailable(StatusOf(make_error_code(code)));
  };
  CHECK(unavailable(net::error::connection_refused));
  CHECK(unavailable(net::error::connection_reset));
  CHECK(unavailable(net::error::connection_aborted));
  CHECK(unavailable(net::error::broken_pipe));
  CHECK(unavailable(net::error::not_connected));
  CHECK(unavailable(net::error::host_unreachable));
  CHECK(unavailable(net::error::network_unreachable));
  CHECK(unavailable(net::error::network_down));
  CHECK(unavailable(net::error::network_reset));
  CHECK(unavailable(net::error::try_again));
  CHECK(unavailable(net::error::eof));
  CHECK(unavailable(net::error::host_not_found_try_again));
  CHECK(absl::IsUnknown(StatusOf(make_error_code(net::error::host_not_found))));
  CHECK(absl::IsCancelled(StatusOf(make_error_code(net::error::operation_aborted))));
  CHECK(absl::IsDeadlineExceeded(StatusOf(make_error_code(net::error::timed_out))));
}

}  // namespace
}  // namespace holdfast::catching_test
