#include "holdfast/call/recent_calls.h"

#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/span_book.h"
#include "test/support/threads.h"

namespace holdfast::recent_calls_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using WallTime = std::chrono::system_clock::time_point;

RetryOptions Twice() { return {.max_attempts = 2, .backoff = Backoff::Constant(1s)}; }

TEST_CASE("a call is kept with its attempts and how each of them ended") {
  FakeClock clock;
  const auto recent = std::make_shared<RecentCalls>(
      RecentCallsOptions{.now = [] { return WallTime(std::chrono::hours(24)); }});
  int runs = 0;
  const auto fetch =
      Stack(Retry(Twice()))
          .Traced("orders", recent)
          .Around(
              [&] {
                clock.Advance(10ms);
                return ++runs == 1 ? absl::UnavailableError("down") : absl::OkStatus();
              },
              &clock);
  CHECK(fetch().ok());
  const std::vector<RecentCall> calls = recent->Snapshot();
  REQUIRE(calls.size() == 1);
  const RecentCall& call = calls.front();
  CHECK(call.stack == "orders");
  CHECK(call.at == WallTime(std::chrono::hours(24)));
  CHECK(call.took == 1020ms);
  CHECK(call.outcome == CallOutcome::kSuccess);
  CHECK(call.ended_by == EndReason::kSuccess);
  CHECK(call.code == absl::StatusCode::kOk);
  CHECK_FALSE(call.parent_id);
  REQUIRE(call.attempts.size() == 2);
  CHECK(call.attempts[0].resend_count == 0);
  CHECK(call.attempts[0].start == 0ms);
  CHECK(call.attempts[0].took == Duration(10ms));
  CHECK(call.attempts[0].outcome == CallOutcome::kFailure);
  CHECK(call.attempts[0].code == absl::StatusCode::kUnavailable);
  CHECK(call.attempts[0].message == "down");
  CHECK(call.attempts[1].resend_count == 1);
  CHECK(call.attempts[1].start == 1010ms);
  CHECK(call.attempts[1].took == Duration(10ms));
  CHECK(call.attempts[1].outcome == CallOutcome::kSuccess);
  const std::set<SpanId> ids = {call.span_id, call.attempts[0].span_id, call.attempts[1].span_id};
  CHECK(ids.size() == 3);
}

TEST_CASE("the last calls are kept, the newest first") {
  const auto recent = std::make_shared<RecentCalls>(RecentCallsOptions{.capacity = 3});
  CHECK(recent->Snapshot().empty());
  std::vector<std::string> expected;
  for (int i = 0; i < 8; ++i) {
    const auto fetch = Stack().Traced("orders", recent).Around([&] {
      return absl::InternalError(std::to_string(i));
    });
    CHECK_FALSE(fetch().ok());
    expected.insert(expected.begin(), std::to_string(i));
    if (expected.size() > 3) expected.pop_back();
    std::vector<std::string> kept;
    for (const RecentCall& call : recent->Snapshot()) kept.push_back(call.message);
    CHECK(kept == expected);
  }
}

TEST_CASE("it keeps so many attempts of a call, and counts the others") {
  FakeClock clock;
  const auto recent = std::make_shared<RecentCalls>(RecentCallsOptions{.max_attempts = 2});
  const auto fetch = Stack(Retry({.max_attempts = 5, .budget = RetryBudget::Unlimited()}))
                         .Traced("orders", recent)
                         .Around([] { return absl::UnavailableError("down"); }, &clock);
  CHECK_FALSE(fetch().ok());
  const auto calls = recent->Snapshot();
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].attempts.size() == 2);
  CHECK(calls[0].more_attempts == 3);
  CHECK(calls[0].ended_by == EndReason::kAttempts);
}

TEST_CASE("a long text is cut between two characters, and what is not UTF-8 becomes so") {
  const auto recent = std::make_shared<RecentCalls>();
  const std::string text = "x" + [] {
    std::string umlauts;
    for (int i = 0; i < 200; ++i) umlauts += "\xc3\xa4";
    return umlauts;
  }();
  const auto fetch = Stack().Traced(text, recent).Around([&] { return absl::InternalError(text); });
  CHECK_FALSE(fetch().ok());
  const auto calls = recent->Snapshot();
  REQUIRE(calls.size() == 1);
  const std::string cut = text.substr(0, 197) + "\xE2\x80\xA6";  // as long as may be
  CHECK(cut.size() == RecentCalls::kMostText);
  CHECK(calls[0].stack == cut);
  CHECK(calls[0].message == cut);
  CHECK(calls[0].attempts[0].message == cut);
  const auto latin = Stack().Traced("\xE4", recent).Around([] { return absl::OkStatus(); });
  CHECK(latin().ok());
  CHECK(recent->Snapshot()[0].stack == "\xEF\xBF\xBD");
}

TEST_CASE("a call is sampled as its parent is") {
  const auto recent = std::make_shared<RecentCalls>(RecentCallsOptions{.sample_ratio = 0});
  std::string sent;
  const auto fetch = Stack().Traced("orders", recent).Around([&](Call& call) {
    sent = call.attempt_trace()->traceparent() + " " + call.attempt_trace()->tracestate();
    return absl::OkStatus();
  });
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-";
  const auto sampled = TraceContext::Parse(trace + "00f067aa0ba902b7-01", "foo=1");
  CHECK(fetch.With({.trace = &*sampled}).ok());
  CHECK(sent.starts_with(trace));
  CHECK(sent.ends_with("-01 foo=1"));
  REQUIRE(recent->Snapshot().size() == 1);
  CHECK(recent->Snapshot()[0].parent_id == sampled->span_id());
  CHECK(recent->Snapshot()[0].trace_id == sampled->trace_id());

  const auto not_sampled = TraceContext::Parse(trace + "00f067aa0ba902b7-00", "foo=1");
  CHECK(fetch.With({.trace = &*not_sampled}).ok());
  CHECK(sent.starts_with(trace));
  CHECK(sent.ends_with("-00 foo=1"));
  CHECK(fetch().ok());
  CHECK_FALSE(sent.starts_with(trace));
  CHECK(sent.ends_with("-02 "));  // random, and not sampled
  CHECK(recent->Snapshot().size() == 1);
}

TEST_CASE("of those that begin a trace a share is sampled") {
  const auto recent =
      std::make_shared<RecentCalls>(RecentCallsOptions{.capacity = 10'000, .sample_ratio = 0.25});
  const auto fetch = Stack().Traced("orders", recent).Around([] { return absl::OkStatus(); });
  for (int i = 0; i < 10'000; ++i) CHECK(fetch().ok());
  // 2500 on average; 6 standard deviations are 260.
  CHECK(recent->Snapshot().size() > 2240);
  CHECK(recent->Snapshot().size() < 2760);
  for (const RecentCall& call : recent->Snapshot()) CHECK(call.trace_id[9] < 64);
}

TEST_CASE("it takes the ids of another tracer, whichever was attached first") {
  const bool recent_first = GENERATE(true, false);
  const auto recent = std::make_shared<RecentCalls>();
  const auto book = std::make_shared<test::SpanBook>();
  const Stack stack;
  (void)stack.Traced("a", recent_first ? std::shared_ptr<Tracer>(recent) : book);
  (void)stack.Traced("b", recent_first ? std::shared_ptr<Tracer>(book) : recent);
  SpanId sent = {};
  CHECK(stack
            .Around([&](Call& call) {
              sent = call.attempt_trace()->span_id();
              return absl::OkStatus();
            })()
            .ok());
  const auto calls = recent->Snapshot();
  REQUIRE(calls.size() == 1);
  REQUIRE(book->calls().size() == 1);
  REQUIRE(book->attempts().size() == 1);
  CHECK(calls[0].stack == (recent_first ? "a" : "b"));
  CHECK(calls[0].trace_id == book->calls()[0].context.trace_id());
  CHECK(calls[0].span_id == book->calls()[0].context.span_id());
  CHECK(calls[0].attempts[0].span_id == book->attempts()[0].context.span_id());
  CHECK(sent == calls[0].attempts[0].span_id);
}

TEST_CASE("calls that end in many threads, and looks at them, do not disturb each other") {
  constexpr int kThreads = 6;
  constexpr int kCalls = 2000;
  const auto recent = std::make_shared<RecentCalls>(RecentCallsOptions{.capacity = 50});
  FakeClock clock;
  const auto fetch = Stack(Retry({.max_attempts = 2, .budget = RetryBudget::Unlimited()}))
                         .Traced("orders", recent)
                         .Around([] { return absl::UnavailableError("down"); }, &clock);
  std::atomic<int> wrong{0};
  test::InThreads(kThreads, [&](int thread) {
    if (thread > 1) {
      for (int i = 0; i < kCalls; ++i) (void)fetch();
      return;
    }
    for (int i = 0; i < 200; ++i) {
      const std::vector<RecentCall> calls = recent->Snapshot();
      std::set<SpanId> ids;
      for (const RecentCall& call : calls) {
        ids.insert(call.span_id);
        const bool whole = call.attempts.size() == 2 && call.attempts[1].took &&
                           call.code == absl::StatusCode::kUnavailable && call.message == "down";
        if (!whole) wrong.fetch_add(1, std::memory_order_relaxed);
      }
      if (ids.size() != calls.size() || calls.size() > 50) {
        wrong.fetch_add(1, std::memory_order_relaxed);
      }
    }
  });
  CHECK(wrong.load(std::memory_order_relaxed) == 0);
  CHECK(recent->Snapshot().size() == 50);
}

TEST_CASE("options out of range are refused") {
  const auto message = [](const RecentCallsOptions& options) {
    return std::string(Validate(options).message());
  };
  CHECK(Validate(RecentCallsOptions{}).ok());
  CHECK(message({.capacity = 0}) == "RecentCalls: capacity must be from 1 to 100000, not 0");
  CHECK(message({.capacity = 100'001}) ==
        "RecentCalls: capacity must be from 1 to 100000, not 100001");
  CHECK(message({.sample_ratio = -0.1}) ==
        "RecentCalls: sample_ratio must be from 0 to 1, not -0.1");
  CHECK(message({.sample_ratio = 1.5}) == "RecentCalls: sample_ratio must be from 0 to 1, not 1.5");
  CHECK_FALSE(Validate(RecentCallsOptions{.sample_ratio = std::nan("")}).ok());
  CHECK(message({.max_attempts = 0}) == "RecentCalls: max_attempts must be from 1 to 1000, not 0");
  CHECK(message({.max_attempts = 1001}) ==
        "RecentCalls: max_attempts must be from 1 to 1000, not 1001");
  CHECK(message({.now = nullptr}) == "RecentCalls: now must be a function");
  CHECK_THROWS_AS(RecentCalls(RecentCallsOptions{.capacity = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::recent_calls_test
