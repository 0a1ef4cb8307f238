#include "holdfast/call/repeatability.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/attempts.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

struct Query {
  Repeatability says;
};

struct Answer {
  absl::Status status;
  Effect effect = Effect::kUnknown;
};

}  // namespace

template <>
struct RequestTraits<Query> {
  static Repeatability RepeatabilityOf(const Query& query) { return query.says; }
};

template <>
struct ResultTraits<Answer> {
  static absl::Status StatusOf(const Answer& answer) { return answer.status; }
  static Answer FromStatus(absl::Status status) { return {.status = std::move(status)}; }
  static std::optional<Duration> RetryAfter(const Answer&) { return std::nullopt; }
  static Effect EffectOf(const Call&, const Answer& answer) { return answer.effect; }
};

namespace {

using namespace std::chrono_literals;
using testing::Attempts;
using testing::FakeClock;

constexpr Query kPure{{.idempotent = true}};
constexpr Query kPayment{{.idempotent = false}};
constexpr Query kStreaming{{.idempotent = true, .reuse = Reuse::kOnce}};
constexpr Query kReceiving{{.idempotent = true, .reuse = Reuse::kUntilAnswered}};
constexpr Query kInTurn{{.idempotent = true, .reuse = Reuse::kInTurn}};

TEST_CASE("whether a request may be made again depends on what the run before did") {
  using enum Effect;
  using enum Rerun;
  const auto [before, pure, payment, streaming, receiving] =
      GENERATE(table<Effect, Rerun, Rerun, Rerun, Rerun>({
          {kNone, kMay, kMay, kMay, kMay},
          {kRefused, kMay, kMay, kUsedUp, kMay},
          {kUnanswered, kMay, kNotIdempotent, kUsedUp, kMay},
          {kUnknown, kMay, kNotIdempotent, kUsedUp, kUsedUp},
          {kHandedOn, kUsedUp, kNotIdempotent, kUsedUp, kUsedUp},
      }));
  CHECK(MayRunAgain(kPure.says, before) == pure);
  CHECK(MayRunAgain(kInTurn.says, before) == pure);
  CHECK(MayRunAgain(kPayment.says, before) == payment);
  CHECK(MayRunAgain(kStreaming.says, before) == streaming);
  CHECK(MayRunAgain(kReceiving.says, before) == receiving);
}

TEST_CASE("what may run twice at once is idempotent and can be shared") {
  CHECK(MayRunAtOnce(kPure.says));
  for (const Query& query : {kPayment, kStreaming, kReceiving, kInTurn}) {
    CHECK_FALSE(MayRunAtOnce(query.says));
  }
}

struct Retried {
  int attempts = 0;
  EndReason ended_by = EndReason::kSuccess;
};

template <class Policy, class Request>
Retried Ask(Policy retry, const Request& request, const Answer& answer) {
  FakeClock clock;
  Report report;
  const auto ask = Stack(std::move(retry)).Around([&](const Request&) { return answer; }, &clock);
  (void)ask.With({.report = &report}, request);
  return {.attempts = report.attempts, .ended_by = report.ended_by};
}

TEST_CASE("Retry asks the request", "[retry]") {
  const Answer lost{absl::UnavailableError("lost")};
  const RetryOptions twice{.max_attempts = 2};
  CHECK(Ask(Retry(twice), kPure, lost).attempts == 2);
  const Retried payment = Ask(Retry(twice), kPayment, lost);
  CHECK(payment.attempts == 1);
  CHECK(payment.ended_by == EndReason::kNotRetryable);
  const Retried streaming = Ask(Retry(twice), kStreaming, lost);
  CHECK(streaming.attempts == 1);
  CHECK(streaming.ended_by == EndReason::kNotRepeatable);
  // Nothing says what an int is.
  CHECK(Ask(Retry(twice), 7, lost).attempts == 2);
}

TEST_CASE("a result says what its run did, and a refusal has done nothing", "[retry]") {
  const RetryOptions twice{.max_attempts = 2};
  const absl::Status busy = absl::UnavailableError("busy");
  CHECK(Ask(Retry(twice), kPayment, {busy, Effect::kRefused}).attempts == 2);
  CHECK(Ask(Retry(twice), kReceiving, {busy, Effect::kUnanswered}).attempts == 2);
  CHECK(Ask(Retry(twice), kReceiving, {busy, Effect::kHandedOn}).attempts == 1);
  const absl::Status refused =
      MakeRejection(absl::StatusCode::kUnavailable, {.kind = RejectionKind::kCircuitOpen}, "open");
  CHECK(Ask(Retry(twice), kStreaming, {refused}).attempts == 2);
  CHECK(Ask(Retry(twice), kPayment, {refused}).attempts == 2);
}

TEST_CASE("a check of one's own is a word for what the service does, not for what is used up",
          "[retry]") {
  const auto always = [](const Call&, const Answer&) { return true; };
  const RetryOptions twice{.max_attempts = 2};
  const Answer lost{absl::UnavailableError("lost")};
  CHECK(Ask(Retry(twice, always), kPayment, lost).attempts == 2);
  for (const Query& query : {kStreaming, kReceiving}) {
    const Retried retried = Ask(Retry(twice, always), query, lost);
    CHECK(retried.attempts == 1);
    CHECK(retried.ended_by == EndReason::kNotRepeatable);
    // A success that the check does not like was handed on as well.
    CHECK(Ask(Retry(twice, always), query, {absl::OkStatus()}).attempts == 1);
  }
}

// A call runs beside the test, which moves the time.
struct Fixture {
  Fixture() { clock.set_auto_advance(false); }

  template <class Policies>
  auto Around(const Policies& stack) {
    return stack.Around([run = attempts.executor()](const Query&, Call& call) { return run(call); },
                        &clock);
  }

  FakeClock clock;
  Attempts attempts{clock};
  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  std::shared_ptr<RetryBudget> budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 1, .per_success = 0, .min_retries_per_second = 0});
  HedgeOptions options{.delay = 10ms, .budget = budget, .pool = pool};
};

// Whether `query`, of which a run takes longer than the delay, is sent again.
template <class Policy>
bool IsHedged(Fixture& f, const Policy& hedge, const Query& query) {
  f.attempts.Script({{100ms, "slow"}, {100ms, "slow"}});
  const auto ask = f.Around(Stack(hedge));
  auto result = std::async(std::launch::async, [&] { return ask(query); });
  f.clock.AwaitWaiters(2);  // the caller and the first
  f.clock.Advance(10ms);
  f.clock.AwaitWaiters(2);  // whoever of the two comes to wait again: the budget was asked
  const bool hedged = f.budget->balance() == 0;
  f.clock.AwaitWaiters(hedged ? 3 : 2);
  f.clock.Advance(100ms);
  CHECK(result.get().ok());
  f.attempts.AwaitEnded(hedged ? 2 : 1);
  CHECK(f.attempts.started() == (hedged ? 2 : 1));
  return hedged;
}

TEST_CASE_METHOD(Fixture, "a call is hedged if its request may run twice at once", "[hedge]") {
  CHECK(IsHedged(*this, Hedge(options), kPure));
}

TEST_CASE_METHOD(Fixture, "any other goes through Hedge once", "[hedge]") {
  const Query query = GENERATE(kPayment, kStreaming, kReceiving, kInTurn);
  CHECK_FALSE(IsHedged(*this, Hedge(options), query));
}

TEST_CASE_METHOD(Fixture, "its caller's word is that a call is idempotent", "[hedge]") {
  CHECK(IsHedged(*this, Hedge(options, HedgeAll()), kPayment));
}

TEST_CASE_METHOD(Fixture, "no word makes two of what can't be shared", "[hedge]") {
  const Query query = GENERATE(kStreaming, kReceiving, kInTurn);
  CHECK_FALSE(IsHedged(*this, Hedge(options, HedgeAll()), query));
}

TEST_CASE_METHOD(Fixture, "a word may be about each call", "[hedge]") {
  const bool says = GENERATE(false, true);
  const auto word = [says](const Call& call) { return call.request<Query>() != nullptr && says; };
  CHECK(IsHedged(*this, Hedge(options, word), kPayment) == says);
}

TEST_CASE_METHOD(Fixture, "what the word throws passes to the caller", "[hedge]") {
  attempts.Script({{1h, "never"}});
  const auto word = [](const Call&) -> bool { throw std::runtime_error("no word"); };
  const auto ask = Around(Stack(Hedge(options, word)));
  auto result = std::async(std::launch::async, [&] { return ask(kPayment); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  CHECK_THROWS_WITH(result.get(), "no word");
  attempts.AwaitEnded(1);
  CHECK(attempts.stopped() == std::vector<int>{1});
}

// A call that has 20 ms, of a run that takes 50 ms whatever it is told.
template <class Policies>
void CheckAwaited(Fixture& f, const Policies& stack, const Query& query, bool awaited) {
  f.attempts.Ignore();
  f.attempts.Script({{50ms, "late"}});
  const auto ask = f.Around(stack);
  auto result = std::async(std::launch::async, [&] { return ask(query); });
  f.clock.AwaitWaiters(2);
  f.clock.Advance(20ms);
  if (!awaited) CHECK(absl::IsDeadlineExceeded(result.get().status()));
  f.clock.AwaitWaiters(awaited ? 2 : 1);
  f.clock.Advance(30ms);
  if (awaited) CHECK(result.get().value() == "late");
  f.attempts.AwaitEnded(1);
}

TEST_CASE_METHOD(Fixture, "what can't be shared is awaited beyond the deadline", "[hedge]") {
  const Query query = GENERATE(kStreaming, kReceiving, kInTurn);
  const bool timeout = GENERATE(false, true);
  if (timeout) {
    CheckAwaited(*this, Stack(Timeout(20ms, pool)), query, true);
  } else {
    CheckAwaited(*this, Stack(Timeout(20ms), Hedge(options)), query, true);
  }
}

TEST_CASE_METHOD(Fixture, "a call goes on without what lives by itself", "[hedge]") {
  const Query query = GENERATE(kPure, kPayment);
  CheckAwaited(*this, Stack(Timeout(20ms, pool)), query, false);
}

TEST_CASE_METHOD(Fixture, "a stopped call awaits what can't be shared", "[hedge]") {
  std::promise<void> began;
  std::promise<void> told;
  std::promise<void> go;
  const auto ask = Stack(Hedge(options))
                       .Around(
                           [&](const Query&, Call& call) -> absl::StatusOr<std::string> {
                             const std::stop_callback tell(call.stop(), [&] { told.set_value(); });
                             began.set_value();
                             go.get_future().wait();
                             return "done";
                           },
                           &clock);
  std::stop_source stop;
  auto result =
      std::async(std::launch::async, [&] { return ask.With({.stop = stop.get_token()}, kInTurn); });
  began.get_future().wait();
  stop.request_stop();
  told.get_future().wait();
  clock.AwaitWaiters(1);  // the caller, for the end
  go.set_value();
  CHECK(absl::IsCancelled(result.get().status()));
}

TEST_CASE_METHOD(Fixture, "what can't be shared is not tried again while it runs", "[hedge]") {
  // With a pool the Timeout would walk away from the first, and the second would run beside it.
  attempts.Ignore();
  attempts.Script({{50ms, absl::UnavailableError("lost")}, {5ms, "good"}});
  const auto ask = Around(Stack(Retry({.backoff = Backoff::Constant(1ms)}), Timeout(20ms, pool)));
  auto result = std::async(std::launch::async, [&] { return ask(kInTurn); });
  clock.AwaitWaiters(2);
  clock.Advance(20ms);
  clock.AwaitWaiters(2);
  clock.Advance(29ms);
  CHECK(attempts.started() == 1);
  clock.Advance(1ms);
  attempts.AwaitEnded(1);
  for (int step = 0; step < 2; ++step) {
    clock.AwaitWaiters(1);
    clock.Advance(5ms);
  }
  while (result.wait_for(0s) != std::future_status::ready) clock.AdvanceToNext();
  CHECK(result.get().value() == "good");
}

// A success that says that another run of the call is at work.
struct Reply {
  int code = 200;
  absl::Status status = {};
};

}  // namespace

template <>
struct ResultTraits<Reply> {
  static absl::Status StatusOf(const Reply& reply) { return reply.status; }
  static Reply FromStatus(absl::Status status) { return {.status = std::move(status)}; }
  static std::optional<Duration> RetryAfter(const Reply&) { return std::nullopt; }
  static bool IsConflict(const Reply& reply) { return reply.code == 409; }
};

namespace {

TEST_CASE_METHOD(Fixture, "a conflict with the other run is no result while that is under way",
                 "[hedge]") {
  std::promise<void> go;
  std::atomic<int> runs = 0;
  const auto ask = Stack(Hedge(options))
                       .Around(
                           [&](const Query&) -> Reply {
                             if (++runs == 2) {
                               go.set_value();
                               return {.code = 409};
                             }
                             go.get_future().wait();
                             while (pool->idle() == 0) std::this_thread::yield();
                             return {.code = 201};
                           },
                           &clock);
  auto result = std::async(std::launch::async, [&] { return ask(kPure); });
  clock.AwaitWaiters(1);
  while (runs == 0) std::this_thread::yield();
  clock.Advance(10ms);
  CHECK(result.get().code == 201);
  CHECK(runs == 2);
}

TEST_CASE_METHOD(Fixture, "a conflict is the result of a call that ran once", "[hedge]") {
  const auto ask =
      Stack(Hedge(options)).Around([](const Query&) { return Reply{.code = 409}; }, &clock);
  CHECK(ask(kPure).code == 409);
}

}  // namespace
}  // namespace holdfast
