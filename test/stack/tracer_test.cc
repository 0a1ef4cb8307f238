// The spans of calls and attempts: ids, parents, resend counts and ends, by the blocking driver and
// in the simulator.
#include "holdfast/call/tracer.h"

#include <absl/status/status.h>

#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/fallback/fallback.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/span_book.h"

namespace holdfast::tracer_test {
namespace {

using namespace std::chrono_literals;
using test::SpanBook;
using test::WhatIsWrongWith;
using test::WrittenSpan;
using testing::FakeClock;

RetryOptions Thrice() {
  return {.max_attempts = 3, .backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()};
}

std::string SentWith(const Call& call) {
  const TraceContext* const context = call.attempt_trace();
  return context == nullptr ? "none" : context->traceparent();
}

TEST_CASE("each attempt has a span of its own in the one trace of its call") {
  FakeClock clock;
  const auto book = std::make_shared<SpanBook>();
  std::vector<std::string> sent;
  const auto fetch =
      Stack(Retry(Thrice()))
          .Traced("orders", book)
          .Around(
              [&](Call& call) {
                sent.push_back(SentWith(call));
                CHECK(call.traced());
                clock.Advance(10ms);
                return sent.size() < 3 ? absl::UnavailableError("down") : absl::OkStatus();
              },
              &clock);
  CHECK(fetch.With({.key = "ann"}).ok());
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  REQUIRE(book->calls().size() == 1);
  const WrittenSpan call = book->calls()[0];
  CHECK(call.stack == "orders");
  CHECK(call.key == "ann");
  CHECK_FALSE(call.parent);
  CHECK(call.end - call.start == 2030ms);
  CHECK(call.outcome == CallOutcome::kSuccess);
  CHECK(call.ended_by == EndReason::kSuccess);
  CHECK(call.attempts == 3);
  const std::vector<WrittenSpan> attempts = book->attempts();
  REQUIRE(attempts.size() == 3);
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    CHECK(attempts[i].resend_count == static_cast<int>(i));
    CHECK(attempts[i].parent == call.context);
    CHECK(attempts[i].context.traceparent() == sent[i]);
    CHECK(attempts[i].start - call.start == static_cast<int>(i) * 1010ms);
    CHECK(attempts[i].end - attempts[i].start == 10ms);
    CHECK(attempts[i].status.ok() == (i == 2));
    CHECK(attempts[i].outcome == (i == 2 ? CallOutcome::kSuccess : CallOutcome::kFailure));
  }
}

TEST_CASE("a call is a part of what its caller says") {
  const auto book = std::make_shared<SpanBook>();
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "foo=1");
  std::string sent;
  std::string state;
  bool traced = false;
  const auto executor = [&](Call& call) {
    sent = SentWith(call);
    state = call.attempt_trace() == nullptr ? "" : call.attempt_trace()->tracestate();
    traced = call.traced();
    return absl::OkStatus();
  };
  CHECK(Stack().Traced("a", book).Around(executor).With({.trace = &*parent}).ok());
  REQUIRE(book->attempts().size() == 1);
  CHECK(book->calls()[0].parent == parent);
  CHECK(sent == book->attempts()[0].context.traceparent());
  CHECK(book->attempts()[0].context.trace_id() == parent->trace_id());
  CHECK(state == "foo=1");
  CHECK(traced);
  // Without a tracer it is handed on as it is.
  CHECK(Stack().Around(executor).With({.trace = &*parent}).ok());
  CHECK(sent == parent->traceparent());
  CHECK(state == "foo=1");
  CHECK_FALSE(traced);
  // What is not valid is none.
  const TraceContext none;
  CHECK(Stack().Around(executor).With({.trace = &none}).ok());
  CHECK(sent == "none");
  CHECK(Stack().Traced("a", book).Around(executor).With({.trace = &none}).ok());
  CHECK_FALSE(book->calls()[1].parent);
  CHECK(Stack().Around(executor)().ok());
  CHECK(sent == "none");
}

TEST_CASE("the call of a stack inside of another is a part of the outer one's attempt") {
  FakeClock clock;
  const auto book = std::make_shared<SpanBook>();
  const bool inner_is_traced = GENERATE(true, false);
  int runs = 0;
  std::vector<std::string> sent;
  const auto executor = [&](Call& call) {
    sent.push_back(SentWith(call));
    CHECK(call.traced());
    return ++runs == 4 ? absl::OkStatus() : absl::UnavailableError("down");
  };
  const Stack inner(Retry({.max_attempts = 2, .backoff = Backoff::Constant(1s)}));
  if (inner_is_traced) (void)inner.Traced("in", book);
  const auto fetch =
      Stack(Retry(Thrice())).Traced("out", book).Around(inner.Around(executor, &clock), &clock);
  CHECK(fetch().ok());
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  const std::vector<WrittenSpan> calls = book->calls();
  std::vector<WrittenSpan> outer;
  std::vector<WrittenSpan> others;
  for (const WrittenSpan& attempt : book->attempts()) {
    (attempt.parent == calls[0].context ? outer : others).push_back(attempt);
  }
  REQUIRE(outer.size() == 2);
  REQUIRE(sent.size() == 4);
  if (!inner_is_traced) {
    CHECK(calls.size() == 1);
    CHECK(sent[0] == outer[0].context.traceparent());
    CHECK(sent[1] == sent[0]);
    CHECK(sent[3] == outer[1].context.traceparent());
    return;
  }
  REQUIRE(calls.size() == 3);
  REQUIRE(others.size() == 4);
  CHECK(calls[1].parent == outer[0].context);
  CHECK(calls[2].parent == outer[1].context);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(others[i].parent == calls[1 + i / 2].context);
    CHECK(others[i].resend_count == static_cast<int>(i % 2));
    CHECK(sent[i] == others[i].context.traceparent());
  }
}

TEST_CASE("a call that no attempt is made of has a span without any") {
  const auto book = std::make_shared<SpanBook>();
  const auto fetch = Stack(RateLimit({.rate = 0.001, .burst = 1}, {.max_wait = 0s}))
                         .Traced("orders", book)
                         .Around([] { return absl::OkStatus(); });
  CHECK(fetch().ok());
  CHECK(absl::IsResourceExhausted(fetch()));
  std::stop_source stop;
  stop.request_stop();
  CHECK(absl::IsCancelled(fetch.With({.stop = stop.get_token()})));
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  const auto calls = book->calls();
  REQUIRE(calls.size() == 3);
  CHECK(book->attempts().size() == 1);
  CHECK(calls[1].outcome == CallOutcome::kRejected);
  CHECK(calls[1].ended_by == EndReason::kRejected);
  CHECK(absl::IsResourceExhausted(calls[1].status));
  CHECK(calls[1].attempts == 0);
  CHECK(calls[2].outcome == CallOutcome::kCancelled);
  CHECK(calls[2].ended_by == EndReason::kCancelled);
}

TEST_CASE("a substitute is the result of the call, not of the attempt") {
  const auto book = std::make_shared<SpanBook>();
  const auto fetch = Stack(Fallback([](const absl::Status&) { return absl::OkStatus(); }))
                         .Traced("orders", book)
                         .Around([] { return absl::UnavailableError("down"); });
  CHECK(fetch().ok());
  CHECK(book->calls()[0].status.ok());
  CHECK(absl::IsUnavailable(book->attempts()[0].status));
}

TEST_CASE("the copies that a hedge sends are attempts of one call, each with a span") {
  testing::World world;
  const auto book = std::make_shared<SpanBook>();
  std::vector<std::string> sent;
  const auto stack = Stack(Hedge({.delay = 10ms, .max_hedges = 2}, HedgeAll()),
                           Retry({.max_attempts = 2, .backoff = Backoff::Constant(1ms)}))
                         .Traced("orders", book);
  const auto fetch =
      testing::Simulate(world, stack, [&](Call& call, const testing::Reply<absl::Status>& reply) {
        sent.push_back(SentWith(call));
        if (sent.size() == 1) {
          world.After(15ms, [reply] { reply.Done(absl::UnavailableError("down")); });
        } else if (sent.size() == 2) {
          world.After(100ms, [reply] { reply.Done(absl::OkStatus()); });
        } else {
          world.After(10ms, [reply] { reply.Done(absl::OkStatus()); });
        }
      });
  // At 0, 10, 16 (the first one's retry) and 20 ms; the retry ends the call at 26 ms.
  fetch();
  world.Run();
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  const auto calls = book->calls();
  const auto attempts = book->attempts();
  REQUIRE(calls.size() == 1);
  REQUIRE(attempts.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(attempts[i].resend_count == static_cast<int>(i));
    CHECK(attempts[i].context.traceparent() == sent[i]);
  }
  CHECK(calls[0].end - calls[0].start == 26ms);
  CHECK(calls[0].attempts == 4);
  CHECK(attempts[2].outcome == CallOutcome::kSuccess);
  CHECK(attempts[1].outcome == CallOutcome::kCancelled);
  CHECK(attempts[3].outcome == CallOutcome::kCancelled);
}

TEST_CASE("an attempt that its call went on without has its own end") {
  const bool traced = GENERATE(true, false);
  std::latch begun(1);
  std::latch end(1);
  const auto book = std::make_shared<SpanBook>();
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  std::string sent;
  {
    const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
    const Stack stack(Timeout(5ms, pool));
    if (traced) (void)stack.Traced("orders", book);
    const auto fetch = stack.Around([&](Call& call) {
      begun.count_down();
      end.wait();
      sent = SentWith(call);  // when the caller and what it said are gone
      return absl::OkStatus();
    });
    {
      const auto caller = std::make_unique<TraceContext>(*parent);
      CHECK(absl::IsDeadlineExceeded(fetch.With({.trace = caller.get()})));
    }
    begun.wait();
    if (traced) {
      const auto calls = book->calls();
      REQUIRE(calls.size() == 1);
      CHECK(calls[0].ends == 1);
      CHECK(book->attempts()[0].ends == 0);
    }
    end.count_down();
  }  // waits for the pool
  if (!traced) {
    CHECK(sent == parent->traceparent());
    return;
  }
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  CHECK(book->attempts()[0].status.ok());
  CHECK(sent == book->attempts()[0].context.traceparent());
}

TEST_CASE("a call that its driver leaves has ended") {
  const auto book = std::make_shared<SpanBook>();
  {
    testing::World world;
    const auto never = [](Call&, const testing::Reply<absl::Status>&) {};
    testing::Simulate(world, Stack(Timeout(1h)).Traced("a", book), never)();
    testing::Simulate(world, Stack().Traced("b", book), never)();
    testing::Simulate(world, Stack(Hedge({.delay = 1s}, HedgeAll())).Traced("c", book), never)();
  }
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  CHECK(book->calls().size() == 3);
  CHECK(book->attempts().size() == 3);
  for (const WrittenSpan& span : book->spans()) CHECK(span.outcome == CallOutcome::kCancelled);
}

TEST_CASE("a tracer is attached once, by its last name, and none is refused") {
  const auto book = std::make_shared<SpanBook>();
  const Stack stack;
  (void)stack.Traced("a", book).Traced("b", book);
  CHECK(stack.Around([] { return absl::OkStatus(); })().ok());
  REQUIRE(book->calls().size() == 1);
  CHECK(book->calls()[0].stack == "b");
  CHECK_THROWS_AS(stack.Traced("c", nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::tracer_test
