// Spans, and the count of active calls, on the asynchronous driver.
#include "holdfast/call/tracer.h"

#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/asio/support/service.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/span_book.h"

namespace holdfast::asio_tracer_test {
namespace {

using namespace std::chrono_literals;
using test::SpanBook;
using test::WhatIsWrongWith;
using test::WrittenSpan;
using testing::Ended;
using testing::FakeClock;
using testing::RunVirtual;

const absl::Status kBusy = absl::UnavailableError("busy");
const absl::Status kOk = absl::OkStatus();

RetryOptions Thrice() {
  return {.max_attempts = 3, .backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()};
}

struct Place {
  FakeClock clock;
  net::io_context io;
  testing::Service service{io, clock};
  std::shared_ptr<SpanBook> book = std::make_shared<SpanBook>();

  template <class S>
  auto Around(const S& stack) {
    return stack.Traced("orders", book).AroundAsync(service.executor(), io.get_executor(), &clock);
  }
  void Run() { RunVirtual(io, clock); }
};

TEST_CASE("asynchronous: each attempt has a span of its own in the one trace of its call") {
  Place place;
  place.service.Script({{10ms, kBusy}, {10ms, kBusy}, {10ms, kOk}});
  const auto fetch = place.Around(Stack(Retry(Thrice())));
  Ended ended;
  fetch.With({.key = "ann"}, ended.handler(&place.clock));
  place.Run();
  CHECK(WhatIsWrongWith(place.book->spans()) == test::kNothing);
  REQUIRE(place.book->calls().size() == 1);
  const WrittenSpan call = place.book->calls()[0];
  CHECK(call.key == "ann");
  CHECK(call.end - call.start == 2030ms);
  CHECK(call.attempts == 3);
  CHECK(call.outcome == CallOutcome::kSuccess);
  const std::vector<WrittenSpan> attempts = place.book->attempts();
  REQUIRE(attempts.size() == 3);
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    CHECK(attempts[i].resend_count == static_cast<int>(i));
    CHECK(attempts[i].parent == call.context);
    CHECK(attempts[i].start - call.start == static_cast<int>(i) * 1010ms);
    CHECK(attempts[i].end - attempts[i].start == 10ms);
    CHECK(attempts[i].status.ok() == (i == 2));
  }
}

TEST_CASE("asynchronous: an attempt that is cut off, and the copies of a hedge, have their ends") {
  Place place;
  place.service.Script({{10s, kOk}, {10s, kOk}, {10ms, kOk}});
  const auto fetch = place.Around(
      Stack(Timeout(1h), Hedge({.delay = 1s}, HedgeAll()), Retry(Thrice()), Timeout(2500ms)));
  // At 0 and 1 s, and at 3.5 s the first one's retry.
  Ended ended;
  fetch(ended.handler(&place.clock));
  place.Run();
  CHECK(WhatIsWrongWith(place.book->spans()) == test::kNothing);
  const auto attempts = place.book->attempts();
  REQUIRE(attempts.size() >= 3);
  CHECK(place.book->calls().size() == 1);
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    CHECK(attempts[i].resend_count == static_cast<int>(i));
  }
  CHECK(absl::IsDeadlineExceeded(attempts[0].status));
  CHECK(attempts[2].status.ok());
}

TEST_CASE("asynchronous: the call of a stack inside is a part of the outer one's attempt") {
  Place place;
  place.service.Script({{10ms, kBusy}, {10ms, kOk}});
  const auto inner =
      Stack(Timeout(1h))
          .Traced("in", place.book)
          .AroundAsync(place.service.executor(), place.io.get_executor(), &place.clock);
  const auto fetch = Stack(Retry(Thrice()))
                         .Traced("out", place.book)
                         .AroundAsync(inner, place.io.get_executor(), &place.clock);
  Ended ended;
  fetch(ended.handler(&place.clock));
  place.Run();
  CHECK(WhatIsWrongWith(place.book->spans()) == test::kNothing);
  const auto calls = place.book->calls();
  REQUIRE(calls.size() == 3);
  std::vector<WrittenSpan> outer;
  for (const WrittenSpan& attempt : place.book->attempts()) {
    if (attempt.parent == calls[0].context) outer.push_back(attempt);
  }
  REQUIRE(outer.size() == 2);
  CHECK(calls[1].stack == "in");
  CHECK(calls[1].parent == outer[0].context);
  CHECK(calls[2].parent == outer[1].context);
}

TEST_CASE("asynchronous: an executor in an AnyAsyncExecutor learns the trace of the attempt") {
  FakeClock clock;
  net::io_context io;
  const auto book = std::make_shared<SpanBook>();
  std::optional<TraceContext> sent;
  const auto executor = [&](Call& call, auto&& token) {
    if (call.attempt_trace() != nullptr) sent = *call.attempt_trace();
    return net::async_initiate<decltype(token), void(absl::Status)>(
        [&io](auto handler) {
          net::post(io, [h = std::make_shared<decltype(handler)>(std::move(handler))] {
            std::move (*h)(absl::OkStatus());
          });
        },
        token);
  };
  const AnyAsyncExecutor<absl::Status()> any(executor, io.get_executor());
  const auto fetch =
      Stack(Retry(Thrice())).Traced("orders", book).AroundAsync(any, io.get_executor());
  absl::Status result = absl::UnknownError("not called");
  fetch([&](const absl::Status& status) { result = status; });
  io.run();
  CHECK(result.ok());
  REQUIRE(book->attempts().size() == 1);
  REQUIRE(sent);
  CHECK(*sent == book->attempts()[0].context);
}

TEST_CASE("asynchronous: a call that goes away with its context has ended, and is not active") {
  const auto book = std::make_shared<SpanBook>();
  const auto stack = Stack(Retry({}), Timeout(1h)).Traced("orders", book);
  const Stack bare;
  (void)bare.Traced("bare", book);
  const CollectedObjects objects = stack.Objects();
  const CollectedObject& meter = objects.all().front();
  meter.count_active(meter.object.lock().get());
  const auto active = [&] {
    test::Collected counters;
    meter.collect(meter.object.lock().get(), counters);
    return counters.at("holdfast.active_calls");
  };
  {
    net::io_context io;
    const auto never = [&io]() -> net::awaitable<absl::Status> {
      net::steady_timer timer(io, 1h);
      co_await timer.async_wait(net::use_awaitable);
      co_return absl::OkStatus();
    };
    const auto fetch = stack.AroundAsync(never, io.get_executor());
    const auto without = bare.AroundAsync(never, io.get_executor());
    const auto caller = [&]() -> net::awaitable<void> { (void)co_await fetch(net::use_awaitable); };
    net::co_spawn(io, caller, net::detached);
    fetch([](const absl::Status&) {});
    without([](const absl::Status&) {});
    io.poll();
    CHECK(active() == 2);
  }
  CHECK(active() == 0);
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  CHECK(book->calls().size() == 3);
  for (const WrittenSpan& span : book->spans()) CHECK(span.outcome == CallOutcome::kCancelled);
}

}  // namespace
}  // namespace holdfast::asio_tracer_test
