#include "holdfast/stack/stack.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <vector>

#include "holdfast/retry/retry.h"
#include "holdfast/stack/any_executor.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// Writes down what happens to it, and does what it is told.
struct Recorder {
  static constexpr std::string_view kName = "Recorder";

  struct State {
    ~State() {
      if (log != nullptr) log->push_back("end " + name);
    }
    std::vector<std::string>* log = nullptr;
    std::string name;
  };

  Verdict Before(Call& call, State& state) {
    state.log = log.get();
    state.name = name;
    log->push_back("before " + name);
    return before ? before(call) : Verdict::Proceed();
  }

  template <class R>
  Next After(Call& call, State&, R&) {
    log->push_back("after " + name);
    return after ? after(call) : Next::Done();
  }

  std::string name;
  std::shared_ptr<std::vector<std::string>> log;
  std::function<Verdict(Call&)> before = {};
  std::function<Next(Call&)> after = {};
};

struct Log {
  std::shared_ptr<std::vector<std::string>> lines = std::make_shared<std::vector<std::string>>();

  Recorder At(const std::string& name, std::function<Verdict(Call&)> before = {},
              std::function<Next(Call&)> after = {}) const {
    return {name, lines, std::move(before), std::move(after)};
  }
  std::vector<std::string> Take() const { return std::exchange(*lines, {}); }
};

using Lines = std::vector<std::string>;

TEST_CASE("a stack without policies is the executor") {
  const auto twice = Stack().Around([](int i) -> absl::StatusOr<int> { return 2 * i; });
  CHECK(*twice(21) == 42);
}

TEST_CASE("a call goes down outermost first and comes up again") {
  const Log log;
  const auto call = Stack(log.At("a"), log.At("b")).Around([&] {
    log.lines->emplace_back("run");
    return absl::OkStatus();
  });
  CHECK(call().ok());
  CHECK(log.Take() == Lines{"before a", "before b", "run", "after b", "end b", "after a", "end a"});
}

TEST_CASE("a stack in a stack stands for its policies") {
  const Log log;
  const auto outer = Stack(log.At("a"), log.At("b"));
  const auto all = Stack(outer, log.At("c"), Stack(Stack(log.At("d"))));
  static_assert(
      std::is_same_v<decltype(all)::Policies, std::tuple<Recorder, Recorder, Recorder, Recorder>>);
  CHECK(all.Around([] { return absl::OkStatus(); })().ok());
  CHECK(log.Take().size() == 12);
}

TEST_CASE("a rejection goes up through the policies outside of it, and ends the others") {
  const Log log;
  const absl::Status refusal =
      MakeRejection(absl::StatusCode::kResourceExhausted, {.policy = "B"}, "no");
  bool ran = false;
  const auto call =
      Stack(log.At("a"),
            log.At("b", [&](Call&) { return Verdict::Reject(refusal, TimePoint{9s}); }),
            log.At("c"))
          .Around([&] {
            ran = true;
            return absl::OkStatus();
          });
  Report report;
  const absl::Status result = call.With({.report = &report});
  CHECK(result == refusal);
  CHECK(RejectionOf(result)->policy == "B");
  CHECK_FALSE(ran);
  CHECK(report.ended_by == EndReason::kRejected);
  CHECK(report.retry_at == TimePoint{9s});
  CHECK(report.attempts == 0);
  CHECK(log.Take() == Lines{"before a", "before b", "end b", "after a", "end a"});
}

TEST_CASE("a policy that waits is asked again when its time has come") {
  FakeClock clock;
  const Log log;
  const auto call =
      Stack(log.At("a"), log.At("b", [](Call& c) {
        return c.now() < TimePoint{5s} ? Verdict::Wait(TimePoint{5s}) : Verdict::Proceed();
      })).Around([] { return absl::OkStatus(); }, &clock);
  Report report;
  CHECK(call.With({.report = &report}).ok());
  CHECK(clock.Now() == TimePoint{5s});
  CHECK(report.waited == 5s);
  REQUIRE(report.history.size() == 1);
  CHECK(report.history[0].delay == 5s);
  CHECK(report.history[0].start == TimePoint{5s});
  CHECK(log.Take() ==
        Lines{"before a", "before b", "before b", "after b", "end b", "after a", "end a"});
}

TEST_CASE("a wait past the deadline is refused at once, without sleeping") {
  FakeClock clock;
  const Log log;
  const auto call = Stack(log.At("a"), log.At("b", [](Call&) {
                      return Verdict::Wait(TimePoint{5s});
                    })).Around([] { return absl::OkStatus(); }, &clock);
  Report report;
  const absl::Status result = call.With({.deadline = TimePoint{4s}, .report = &report});
  CHECK(result.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(RejectionOf(result)->policy == "Recorder");
  CHECK(clock.Now() == TimePoint{0s});
  CHECK(report.ended_by == EndReason::kDeadline);
  CHECK(report.retry_at == TimePoint{5s});
  CHECK(log.Take() == Lines{"before a", "before b", "end b", "after a", "end a"});
}

TEST_CASE("a call whose deadline has passed runs nothing") {
  FakeClock clock(TimePoint{5s});
  bool ran = false;
  const auto call = Stack().Around(
      [&] {
        ran = true;
        return absl::OkStatus();
      },
      &clock);
  CHECK(call.With({.deadline = TimePoint{4s}}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK_FALSE(ran);
  CHECK(call.With({.deadline = TimePoint{5s}}).ok());  // at its very time it may still try
}

TEST_CASE("Again sends the call down once more, with fresh states below") {
  FakeClock clock;
  const Log log;
  int tries = 0;
  const auto call =
      Stack(log.At("a", {},
                   [&](Call& c) { return ++tries < 3 ? Next::Again(c.now() + 1s) : Next::Done(); }),
            log.At("b"))
          .Around([] { return absl::OkStatus(); }, &clock);
  Report report;
  CHECK(call.With({.report = &report}).ok());
  CHECK(clock.Now() == TimePoint{2s});
  CHECK(report.attempts == 3);
  CHECK(report.history[2].delay == 1s);
  CHECK(log.Take() == Lines{"before a", "before b", "after b", "end b", "after a", "before b",
                            "after b", "end b", "after a", "before b", "after b", "end b",
                            "after a", "end a"});
}

TEST_CASE("where Again would pass the deadline, the result in hand stands") {
  FakeClock clock;
  const auto call = Stack(Log().At("a", {}, [](Call&) {
                      return Next::Again(TimePoint{5s});
                    })).Around([] { return absl::DataLossError("mine"); }, &clock);
  Report report;
  CHECK(call.With({.deadline = TimePoint{4s}, .report = &report}) == absl::DataLossError("mine"));
  CHECK(report.ended_by == EndReason::kDeadline);
  CHECK(clock.Now() == TimePoint{0s});
}

TEST_CASE("a policy that says Again for ever does not use up the stack") {
  int runs = 0;
  const auto call =
      Stack(Log().At("a", {},
                     [&](Call&) {
                       return ++runs < 200'000 ? Next::Again(TimePoint::min()) : Next::Done();
                     }),
            Log().At("b", [](Call&) { return Verdict::Reject(absl::UnavailableError("down")); }))
          .Around([] { return absl::OkStatus(); });
  CHECK(call().code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("an exception passes through, with every state ended, innermost first") {
  const Log log;
  std::optional<Abandonment> seen;
  struct Watch {
    struct State {
      ~State() {
        if (call != nullptr) *seen = call->abandonment();
      }
      Call* call = nullptr;
      std::optional<Abandonment>* seen = nullptr;
    };
    Verdict Before(Call& call, State& state) {
      state.call = &call;
      state.seen = seen;
      return Verdict::Proceed();
    }
    Next After(Call&, State&, absl::Status&) { return Next::Done(); }
    std::optional<Abandonment>* seen;
  };
  const auto call = Stack(log.At("a"), Watch{&seen}, log.At("b")).Around([]() -> absl::Status {
    throw std::runtime_error("boom");
  });
  Report report;
  CHECK_THROWS_WITH(call.With({.report = &report}), "boom");
  CHECK(log.Take() == Lines{"before a", "before b", "end b", "end a"});
  CHECK(seen == Abandonment::kThrew);
  CHECK(report.attempts == 1);
  REQUIRE(report.history.size() == 1);
  CHECK(report.history[0].outcome.code() == absl::StatusCode::kUnknown);
  CHECK(report.ended_by == EndReason::kNotRetryable);
}

TEST_CASE("an exception of a policy passes through as well") {
  const Log log;
  const auto call = Stack(log.At("a"), log.At("b", {}, [](Call&) -> Next {
                      throw std::runtime_error("policy");
                    })).Around([] { return absl::OkStatus(); });
  CHECK_THROWS_WITH(call(), "policy");
  CHECK(log.Take() == Lines{"before a", "before b", "after b", "end b", "end a"});
}

TEST_CASE("a call stopped before it begins runs nothing") {
  std::stop_source stop;
  stop.request_stop();
  bool ran = false;
  const Log log;
  const auto call = Stack(log.At("a")).Around([&] {
    ran = true;
    return absl::OkStatus();
  });
  Report report;
  const absl::Status result = call.With({.stop = stop.get_token(), .report = &report});
  CHECK(result.code() == absl::StatusCode::kCancelled);
  CHECK(RejectionOf(result)->kind == RejectionKind::kCancelled);
  CHECK(report.ended_by == EndReason::kCancelled);
  CHECK_FALSE(ran);
  CHECK(log.Take().empty());
}

TEST_CASE("a call stopped during a wait ends at once, and no policy sees a result") {
  FakeClock clock;
  std::stop_source stop;
  const Log log;
  const auto call = Stack(log.At("a"), log.At("b", [&](Call&) {
                      stop.request_stop();
                      return Verdict::Wait(TimePoint{1h});
                    })).Around([] { return absl::OkStatus(); }, &clock);
  CHECK(call.With({.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled);
  CHECK(clock.Now() == TimePoint{0s});
  CHECK(log.Take() == Lines{"before a", "before b", "end b", "end a"});
}

TEST_CASE("calls stopped at any moment of their waits end") {
  const auto call = Stack(Log().At("a", [](Call& c) {
                      return Verdict::Wait(c.now() + 1h);
                    })).Around([] { return absl::OkStatus(); });
  std::atomic<int> cancelled = 0;
  for (int i = 0; i < 200; ++i) {
    std::stop_source stop;
    std::jthread caller([&] {
      cancelled += call.With({.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled;
    });
    for (int spin = 0; spin < i * 20; ++spin) std::this_thread::yield();
    stop.request_stop();
  }
  CHECK(cancelled == 200);
}

TEST_CASE("arguments reach every attempt unchanged, and are never moved from") {
  std::vector<std::string> seen;
  const auto call =
      Stack(Retry({.max_attempts = 3, .backoff = Backoff::Constant(0s)}))
          .Around([&](std::string by_value, const std::string& by_reference, int& counter) {
            seen.push_back(by_value + by_reference);
            by_value.clear();
            ++counter;
            return absl::UnavailableError("again");
          });
  int counter = 0;
  std::string text = "text";
  CHECK_FALSE(call(std::string("rvalue "), std::move(text), counter).ok());
  CHECK(seen == Lines(3, "rvalue text"));
  CHECK(text == "text");
  CHECK(counter == 3);
}

TEST_CASE("results that can only be moved come through") {
  const auto call = Stack(Timeout(1s)).Around([]() -> absl::StatusOr<std::unique_ptr<int>> {
    return std::make_unique<int>(5);
  });
  CHECK(**call() == 5);
}

TEST_CASE("an executor may take the call, and learn its deadline, attempt and key") {
  FakeClock clock(TimePoint{100s});
  std::vector<int> attempts;
  const auto call =
      Stack(Timeout(10s), Retry({.max_attempts = 2, .backoff = Backoff::Constant(1s)}), Timeout(2s))
          .Around(
              [&](int, Call& c) {
                attempts.push_back(c.attempt());
                CHECK(c.deadline() == c.now() + 2s);
                CHECK(c.key() == "tenant");
                return absl::UnavailableError("again");
              },
              &clock);
  CHECK_FALSE(call.With({.key = "tenant"}, 1).ok());
  CHECK(attempts == std::vector<int>{1, 2});
}

TEST_CASE("an executor may be kept where it is") {
  struct Counter {
    absl::Status operator()() {
      ++calls;
      return absl::OkStatus();
    }
    int calls = 0;
  } counter;
  const auto call = Stack().Around(std::ref(counter));
  (void)call();
  (void)call();
  CHECK(counter.calls == 2);
}

TEST_CASE("an executor with a stack obeys the deadline and the stop token of the one around it") {
  FakeClock clock;
  TimePoint seen;
  const auto inner = Stack(Timeout(1h))
                         .Around(
                             [&](int, Call& call) -> absl::StatusOr<int> {
                               seen = call.deadline();
                               return 1;
                             },
                             &clock);
  const auto outer = Stack(Timeout(5s)).Around(inner, &clock);
  CHECK(outer(0).ok());
  CHECK(seen == TimePoint{5s});

  const AnyExecutor<absl::StatusOr<int>(int)> any = inner;
  CHECK(Stack(Timeout(3s)).Around(any, &clock)(0).ok());
  CHECK(seen == TimePoint{3s});
}

TEST_CASE("AnyExecutor names one type for all") {
  std::vector<AnyExecutor<absl::StatusOr<int>(int)>> calls;
  calls.emplace_back(Stack().Around([](int i) -> absl::StatusOr<int> { return i; }));
  calls.emplace_back(Stack(Timeout(1s)).Around([](int i) -> absl::StatusOr<int> { return -i; }));
  CHECK(*calls[0](3) == 3);
  CHECK(*calls[1](3) == -3);
  Report report;
  CHECK(calls[1].With({.report = &report}, 3).ok());
  CHECK(report.attempts == 1);
}

TEST_CASE("a report is cleared when a call begins") {
  Report report;
  const auto call =
      Stack().Around([](bool good) { return good ? absl::OkStatus() : absl::AbortedError("no"); });
  CHECK_FALSE(call.With({.report = &report}, false).ok());
  CHECK(report.ended_by == EndReason::kNotRetryable);
  CHECK(report.history[0].outcome.code() == absl::StatusCode::kAborted);
  CHECK(call.With({.report = &report}, true).ok());
  CHECK(report.ended_by == EndReason::kSuccess);
  CHECK(report.history.size() == 1);
}

}  // namespace

// A result type of a user's own.
struct Reply {
  int code = 0;
  std::string why;
};

template <>
struct ResultTraits<Reply> {
  static absl::Status StatusOf(const Reply& reply) {
    return reply.code == 0 ? absl::OkStatus() : absl::InternalError(reply.why);
  }
  static Reply FromStatus(const absl::Status& status) {
    return {static_cast<int>(status.code()), std::string(status.message())};
  }
  static std::optional<Duration> RetryAfter(const Reply& reply) {
    return reply.code == 503 ? std::optional<Duration>(7s) : std::nullopt;
  }
  static bool IsTransient(const Reply& reply) { return reply.code == 503; }
};

namespace {

TEST_CASE("a user's result type goes through a stack like any other") {
  FakeClock clock;
  int code = 503;
  const auto call = Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(1s)}))
                        .Around([&] { return Reply{code, "busy"}; }, &clock);
  Report report;
  CHECK(call.With({.report = &report}).why == "busy");
  CHECK(report.attempts == 2);
  CHECK(clock.Now() == TimePoint{7s});  // as the backend asked
  CHECK(report.retry_at == TimePoint{14s});
  code = 500;
  CHECK(call.With({.report = &report}).code == 500);
  CHECK(report.attempts == 1);
  CHECK(call.With({.deadline = TimePoint{1s}}).code ==
        static_cast<int>(absl::StatusCode::kDeadlineExceeded));
}

}  // namespace
}  // namespace holdfast
