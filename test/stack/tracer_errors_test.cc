// Spans of calls that throw, and tracers that do.
#include <absl/status/status.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/call/tracer.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/catching.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/span_book.h"

namespace holdfast::tracer_errors_test {
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
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
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
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  REQUIRE(book->attempts().size() == 2);
  CHECK(absl::IsUnavailable(book->attempts()[0].status));
  CHECK(book->attempts()[1].resend_count == 1);
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
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  REQUIRE(book->attempts().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(sent[i] == book->attempts()[i].context.traceparent());
  }
}

}  // namespace
}  // namespace holdfast::tracer_errors_test
