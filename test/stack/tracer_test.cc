// The spans of calls and attempts: ids, parents, resend counts and ends, by the blocking driver and
// in the simulator.
#include "holdfast/call/tracer.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/fallback/fallback.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/catching.h"
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
  CHECK(WhatIsWrongWith(book->spans()) == "");
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
  CHECK(WhatIsWrongWith(book->spans()) == "");
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
  CHECK(WhatIsWrongWith(book->spans()) == "");
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

TEST_CASE("spans end with what is thrown") {
  const auto book = std::make_shared<SpanBook>();
  const auto throws = [](const Call&, const absl::Status&) -> bool {
    throw std::runtime_error("check");
  };
  const auto stack = Stack(Retry(Thrice(), throws)).Traced("orders", book);
  CHECK_THROWS(stack.Around([]() -> absl::Status { throw std::runtime_error("run"); })());
  CHECK_THROWS(stack.Around([] { return absl::UnavailableError("down"); })());
  CHECK_THROWS(
      Stack().Traced("orders", book).Around([]() -> absl::Status { throw std::exception(); })());
  CHECK(WhatIsWrongWith(book->spans()) == "");
  for (const WrittenSpan& call : book->calls()) CHECK(call.outcome == CallOutcome::kException);
  const auto attempts = book->attempts();
  REQUIRE(attempts.size() == 3);
  CHECK(attempts[0].outcome == CallOutcome::kException);
  CHECK(attempts[0].status.code() == absl::StatusCode::kUnknown);
  CHECK(attempts[1].outcome == CallOutcome::kFailure);
  CHECK(attempts[2].outcome == CallOutcome::kException);
}

TEST_CASE("what is caught is retried, and each attempt says so") {
  FakeClock clock;
  const auto book = std::make_shared<SpanBook>();
  int runs = 0;
  const auto fetch = Stack(Retry(Thrice()))
                         .Traced("orders", book)
                         .Around(Catching(
                                     [&] {
                                       if (++runs == 1) throw std::runtime_error("once");
                                       return 7;
                                     },
                                     RetryOn<std::runtime_error>()),
                                 &clock);
  CHECK(fetch() == 7);
  CHECK(WhatIsWrongWith(book->spans()) == "");
  REQUIRE(book->attempts().size() == 2);
  CHECK(absl::IsUnavailable(book->attempts()[0].status));
  CHECK(book->attempts()[1].resend_count == 1);
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

// A Tracer that throws where it is told to.
class Wrong final : public Tracer {
 public:
  enum Where {
    kStart,
    kContext,
    kAttempt,
    kAttemptContext,
    kAttemptEnd,
    kEnd,
    kNoCall,
    kNoAttempt
  };

  explicit Wrong(Where where) : where_(where) {}

  std::unique_ptr<CallSpan> StartCall(const CallStart&) override {
    if (where_ == kStart) throw std::runtime_error("start");
    if (where_ == kNoCall) return nullptr;
    return std::make_unique<Span>(where_);
  }

 private:
  class Attempt final : public AttemptSpan {
   public:
    explicit Attempt(Where where) : where_(where) {}
    const TraceContext& context() const override {
      if (where_ == kAttemptContext) throw std::runtime_error("context");
      return none_;
    }
    void End(const AttemptEnd&) override {
      if (where_ == kAttemptEnd) throw std::runtime_error("end");
    }

   private:
    const Where where_;
    const TraceContext none_;
  };
  class Span final : public CallSpan {
   public:
    explicit Span(Where where) : where_(where) {}
    const TraceContext& context() const override {
      if (where_ == kContext) throw std::runtime_error("context");
      return none_;
    }
    std::unique_ptr<AttemptSpan> StartAttempt(const AttemptStart&) override {
      if (where_ == kAttempt) throw std::runtime_error("attempt");
      if (where_ == kNoAttempt) return nullptr;
      return std::make_unique<Attempt>(where_);
    }
    void End(const CallEnd&) override {
      if (where_ == kEnd) throw std::runtime_error("end");
    }

   private:
    const Where where_;
    const TraceContext none_;
  };

  const Where where_;
};

TEST_CASE("what a tracer throws is dropped, and the others go on") {
  const int where = GENERATE(range(0, 8));
  FakeClock clock;
  const auto book = std::make_shared<SpanBook>();
  std::vector<std::string> sent;
  const auto stack =
      Stack(Retry(Thrice())).Traced("orders", std::make_shared<Wrong>(Wrong::Where(where)));
  const auto fetch = stack.Around(
      [&](Call& call) {
        sent.push_back(SentWith(call));
        return absl::UnavailableError("down");
      },
      &clock);
  CHECK(absl::IsUnavailable(fetch()));
  CHECK(sent == std::vector<std::string>(3, "none"));
  // A context of nobody is no reason to lose the caller's.
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  sent.clear();
  CHECK(absl::IsUnavailable(fetch.With({.trace = &*parent})));
  CHECK(sent == std::vector<std::string>(3, parent->traceparent()));

  (void)stack.Traced("orders", book);
  sent.clear();
  CHECK(absl::IsUnavailable(fetch()));
  CHECK(WhatIsWrongWith(book->spans()) == "");
  REQUIRE(book->attempts().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(sent[i] == book->attempts()[i].context.traceparent());
  }
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
  CHECK(WhatIsWrongWith(book->spans()) == "");
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
  std::latch ended(1);
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
  CHECK(WhatIsWrongWith(book->spans()) == "");
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
  CHECK(WhatIsWrongWith(book->spans()) == "");
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
