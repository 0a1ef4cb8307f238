// What policies decide, and when, on the asynchronous driver: in virtual time.
#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/asio/support/service.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using testing::Ended;
using testing::FakeClock;
using testing::RunVirtual;
using testing::Service;

constexpr TimePoint At(Duration d) { return TimePoint(d); }
using Times = std::vector<TimePoint>;

const absl::Status kBusy = absl::UnavailableError("busy");
const absl::Status kOk = absl::OkStatus();

struct World {
  FakeClock clock;
  net::io_context io;
  Service service{io, clock};

  template <class S>
  auto Around(const S& stack) {
    return stack.AroundAsync(service.executor(), io.get_executor(), &clock);
  }
  void Run() { RunVirtual(io, clock); }
  void RunUntil(TimePoint until) { RunVirtual(io, clock, until); }
};

Retry<> Retrying(int attempts = 4) {
  return Retry({.max_attempts = attempts,
                .backoff = Backoff::Constant(1s),
                .budget = RetryBudget::Unlimited()});
}

TEST_CASE("asynchronous: retries come after the backoff, and the last result stands") {
  World w;
  w.service.Script({{2s, kBusy}, {0s, kBusy}, {5s, kBusy}});
  const auto call = w.Around(Stack(
      Retry({.max_attempts = 3,
             .backoff = Backoff::Exponential({.initial = 1s, .max = 60s, .jitter = Jitter::kNone}),
             .budget = RetryBudget::Unlimited()})));
  Ended ended;
  Report report;
  call.With({.report = &report}, ended.handler(&w.clock));
  w.Run();
  CHECK(ended.calls == 1);
  CHECK(ended.status == kBusy);
  CHECK(ended.at == At(10s));
  CHECK(w.service.started() == Times{At(0s), At(3s), At(5s)});
  CHECK(report.attempts == 3);
  CHECK(report.ended_by == EndReason::kAttempts);
  CHECK(report.waited == 3s);
  REQUIRE(report.history.size() == 3);
  CHECK(report.history[2].start == At(5s));
  CHECK(report.history[2].delay == 2s);
  CHECK(report.history[2].outcome == kBusy);
}

TEST_CASE("asynchronous: a Timeout cancels the attempt at its deadline") {
  World w;
  w.service.Script({{60s, kOk}, {1s, kOk}});
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto call = w.Around(Stack(Retrying(), Bulkhead(semaphore), Timeout(2s)));
  Ended ended;
  Report report;
  call.With({.report = &report}, ended.handler(&w.clock));
  w.Run();
  CHECK(w.service.cancelled() == Times{At(2s)});
  CHECK(w.service.started() == Times{At(0s), At(3s)});
  CHECK(ended.status.ok());
  CHECK(ended.at == At(4s));
  REQUIRE(report.history.size() == 2);
  CHECK(report.history[0].outcome.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(semaphore->in_use() == 0);
}

TEST_CASE("asynchronous: a timeout around retries ends the call at that very time") {
  World w;
  w.service.Script({{1s, kBusy}, {60s, kOk}});
  const auto call = w.Around(Stack(Timeout(5s), Retrying()));
  Ended ended;
  Report report;
  call.With({.report = &report}, ended.handler(&w.clock));
  w.Run();
  CHECK(ended.status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(ended.at == At(5s));
  CHECK(w.service.cancelled() == Times{At(5s)});
  CHECK(report.ended_by == EndReason::kDeadline);
  CHECK(report.attempts == 2);
}

TEST_CASE("asynchronous: an attempt that ignores its deadline is awaited, and its success stands") {
  World w;
  const absl::Status ends = GENERATE(absl::OkStatus(), absl::UnavailableError("busy"));
  w.service.Script({{9s, ends, /*ignores_cancellation=*/true}});
  const auto call = w.Around(Stack(Timeout(2s)));
  Ended ended;
  call(ended.handler(&w.clock));
  w.Run();
  CHECK(w.service.cancelled() == Times{At(2s)});
  CHECK(ended.at == At(9s));
  CHECK(ended.status.code() ==
        (ends.ok() ? absl::StatusCode::kOk : absl::StatusCode::kDeadlineExceeded));
}

TEST_CASE("asynchronous: the caller's deadline is one like a Timeout's") {
  World w;
  w.service.Script({{3s, kBusy}, {60s, kOk}});
  const auto call = w.Around(Stack(Retrying()));
  Ended cut;
  call.With({.deadline = At(7s)}, cut.handler(&w.clock));
  w.Run();
  CHECK(cut.status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(cut.at == At(7s));

  Ended late;
  call.With({.deadline = At(6s)}, late.handler(&w.clock));
  w.Run();
  CHECK(RejectionOf(late.status)->kind == RejectionKind::kDeadline);
  CHECK(w.service.started().size() == 2);
}

TEST_CASE("asynchronous: calls wait for tokens") {
  World w;
  w.service.Script({{0s, kOk}});
  const auto call =
      w.Around(Stack(RateLimit(TokenBucket::Options{.rate = 0.5, .burst = 1}, {.max_wait = 10s})));
  std::vector<Ended> ended(3);
  for (Ended& e : ended) call(e.handler(&w.clock));
  w.Run();
  CHECK(w.service.started() == Times{At(0s), At(2s), At(4s)});
  CHECK(ended[2].at == At(4s));
}

TEST_CASE("asynchronous: calls wait for a permit in order, until another call's end") {
  World w;
  w.service.Script({{3s, kOk}, {5s, kOk}, {1s, kOk}});
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto call = w.Around(Stack(Bulkhead(semaphore, {.max_wait = Duration::max()})));
  const auto hasty = w.Around(Stack(Bulkhead(semaphore, {.max_wait = 2s})));
  Ended first;
  Ended second;
  Ended third;
  Ended gave_up;
  call(first.handler(&w.clock));
  call(second.handler(&w.clock));
  call(third.handler(&w.clock));
  hasty(gave_up.handler(&w.clock));
  testing::Poll(w.io);
  CHECK(semaphore->queued() == 3);
  w.Run();
  CHECK(w.service.started() == Times{At(0s), At(3s), At(8s)});
  CHECK(second.at == At(8s));
  CHECK(third.at == At(9s));
  CHECK(gave_up.at == At(2s));
  CHECK(gave_up.status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(semaphore->in_use() == 0);
  CHECK(semaphore->queued() == 0);
}

TEST_CASE("asynchronous: a breaker opens, refuses, and closes again") {
  World w;
  w.service.Script({{1s, kBusy}, {1s, kOk}});
  auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.timeout = 30s,
                              .ready_to_trip = [](const BreakerCounts&) { return true; },
                              .clock = &w.clock});
  const auto call = w.Around(Stack(CircuitBreak(breaker)));
  Ended failed;
  call(failed.handler());
  w.Run();
  CHECK(breaker->state() == BreakerState::kOpen);
  Ended refused;
  call(refused.handler());
  CHECK(refused.calls == 0);  // not before the start returns, also not a refusal
  w.Run();
  CHECK(RejectionOf(refused.status)->policy == "CircuitBreak");
  w.clock.Advance(31s);
  Ended probe;
  call(probe.handler());
  w.Run();
  CHECK(probe.status.ok());
  CHECK(breaker->state() == BreakerState::kClosed);
}

TEST_CASE("asynchronous: a stop request ends a wait, and cancels an attempt") {
  World w;
  w.service.Script({{10s, kBusy}});
  const auto call = w.Around(Stack(Timeout(60s), Retrying()));
  Ended ended;
  Report report;
  std::stop_source stop;
  call.With({.stop = stop.get_token(), .report = &report}, ended.handler(&w.clock));
  SECTION("before the start") {
    Ended never;
    stop.request_stop();
    call.With({.stop = stop.get_token()}, never.handler(&w.clock));
    w.Run();
    CHECK(never.status.code() == absl::StatusCode::kCancelled);
    CHECK(w.service.started().size() == 1);
  }
  SECTION("during an attempt") {
    w.RunUntil(At(4s));
    stop.request_stop();
    w.Run();
    CHECK(w.service.cancelled() == Times{At(4s)});
    CHECK(ended.at == At(4s));
  }
  SECTION("between two") {
    w.RunUntil(At(10s) + 500ms);
    CHECK(w.service.under_way() == 0);
    stop.request_stop();
    w.Run();
    CHECK(ended.at == At(10s) + 500ms);
    CHECK(w.service.started().size() == 1);
  }
  CHECK(ended.calls == 1);
  CHECK(ended.status.code() == absl::StatusCode::kCancelled);
  CHECK(report.ended_by == EndReason::kCancelled);
}

TEST_CASE("asynchronous: a Timeout with a pool does not await what ignores it") {
  World w;
  w.service.Script({{20s, kOk, /*ignores_cancellation=*/true}, {1s, kOk}});
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 2});
  auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  const auto call = w.Around(Stack(Retrying(), Bulkhead(semaphore), Timeout(2s, pool)));
  Ended ended;
  Report report;
  call.With({.report = &report}, ended.handler(&w.clock));
  w.RunUntil(At(6s));
  CHECK(ended.calls == 1);
  CHECK(ended.status.ok());
  CHECK(ended.at == At(4s));
  CHECK(w.service.started() == Times{At(0s), At(3s)});
  // The attempt that it left runs on, and what it was admitted with is still out.
  CHECK(w.service.under_way() == 1);
  CHECK(semaphore->in_use() == 1);
  w.RunUntil(At(19s));
  CHECK(semaphore->in_use() == 1);
  w.RunUntil(At(20s));
  CHECK(semaphore->in_use() == 0);
  CHECK(pool->threads() == 0);
  REQUIRE(report.history.size() == 2);
  CHECK(report.attempts == 2);
}

struct HedgeWorld : World {
  std::shared_ptr<CircuitBreaker> breaker =
      std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.clock = &clock});
  std::shared_ptr<Semaphore> outside = std::make_shared<Semaphore>(Semaphore::Options{.limit = 9});
  std::shared_ptr<Semaphore> inside = std::make_shared<Semaphore>(Semaphore::Options{.limit = 9});

  auto Hedging(HedgeOptions options = {.delay = 1s, .budget = RetryBudget::Unlimited()}) {
    return Around(Stack(Bulkhead(outside), Hedge(std::move(options), HedgeAll()),
                        CircuitBreak(breaker), Bulkhead(inside)));
  }
  void CheckAllReturned() {
    CHECK(outside->in_use() == 0);
    CHECK(inside->in_use() == 0);
    CHECK(service.under_way() == 0);
  }
};

TEST_CASE("asynchronous: the first success of a hedged call wins, and the loser is neutral") {
  HedgeWorld w;
  auto latencies = std::make_shared<LatencyQuantile>(
      LatencyQuantile::Options{.quantile = 0.5, .min_samples = 1});
  w.service.Script({{10s, kOk}, {2s, kOk}});
  const auto call =
      w.Hedging({.delay = 1s, .latencies = latencies, .budget = RetryBudget::Unlimited()});
  Ended ended;
  Report report;
  call.With({.report = &report}, ended.handler(&w.clock));
  w.Run();
  CHECK(ended.calls == 1);
  CHECK(ended.status.ok());
  CHECK(ended.at == At(3s));
  CHECK(w.service.started() == Times{At(0s), At(1s)});
  CHECK(w.service.cancelled() == Times{At(3s)});
  const BreakerCounts counts = w.breaker->counts();
  CHECK(counts.successes == 1);
  CHECK(counts.failures == 0);
  // One sample: what the call took.
  CHECK(test::Approx(std::chrono::duration<double>(*latencies->ValueAt(w.clock.Now())).count())
            .epsilon(0.05) == 3.0);
  CHECK(report.attempts == 2);
  CHECK(report.ended_by == EndReason::kSuccess);
  REQUIRE(report.history.size() == 2);
  CHECK(report.history[0].start == At(0s));
  CHECK(report.history[1].start == At(1s));
  CHECK(report.history[1].outcome.ok());
  w.CheckAllReturned();
}

TEST_CASE("asynchronous: a failure waits for the hedge that is under way") {
  HedgeWorld w;
  w.service.Script({{2s, kBusy}, {4s, kOk}});
  Ended ended;
  w.Hedging()(ended.handler(&w.clock));
  w.Run();
  CHECK(ended.status.ok());
  CHECK(ended.at == At(5s));
  CHECK(w.breaker->counts().failures == 1);
  w.CheckAllReturned();
}

TEST_CASE("asynchronous: a failure with none under way ends the call at once") {
  HedgeWorld w;
  w.service.Script({{500ms, kBusy}});
  Ended ended;
  w.Hedging()(ended.handler(&w.clock));
  w.Run();
  CHECK(ended.status == kBusy);
  CHECK(ended.at == At(500ms));
  CHECK(w.service.started().size() == 1);
  w.CheckAllReturned();
}

TEST_CASE("asynchronous: where all hedges fail, the first failure is the result") {
  HedgeWorld w;
  w.service.Script({{5s, absl::InternalError("first")},
                    {1s, absl::InternalError("second")},
                    {9s, absl::InternalError("third")}});
  Ended ended;
  w.Hedging({.delay = 1s, .max_hedges = 2, .budget = RetryBudget::Unlimited()})(
      ended.handler(&w.clock));
  w.Run();
  CHECK(ended.status.message() == "first");
  CHECK(ended.at == At(11s));
  CHECK(w.service.started() == Times{At(0s), At(1s), At(2s)});
  w.CheckAllReturned();
}

TEST_CASE("asynchronous: a hedge that is refused below is no result while there is a better one") {
  HedgeWorld w;
  w.inside->SetLimit(1);
  w.service.Script({{5s, absl::InternalError("real")}});
  const auto call =
      w.Around(Stack(Hedge({.delay = 1s, .budget = RetryBudget::Unlimited()}, HedgeAll()),
                     Bulkhead(w.inside, {.max_wait = 0s})));
  Ended ended;
  call(ended.handler(&w.clock));
  w.Run();
  CHECK(ended.status.message() == "real");
  CHECK(ended.at == At(5s));
  CHECK(w.service.started().size() == 1);
}

TEST_CASE("asynchronous: a hedge needs budget") {
  HedgeWorld w;
  auto budget = std::make_shared<RetryBudget>(RetryBudget::Options{});
  while (budget->TryWithdraw()) {
  }
  w.service.Script({{5s, kOk}});
  Ended ended;
  w.Hedging({.delay = 1s, .budget = budget})(ended.handler(&w.clock));
  w.Run();
  CHECK(ended.at == At(5s));
  CHECK(w.service.started().size() == 1);
  w.CheckAllReturned();
}

TEST_CASE("asynchronous: a deadline ends a hedged call, and each of its attempts") {
  HedgeWorld w;
  w.service.Script({{60s, kOk}});
  const auto call = w.Around(Stack(
      Timeout(4s), Bulkhead(w.outside),
      Hedge({.delay = 1s, .budget = RetryBudget::Unlimited()}, HedgeAll()), Bulkhead(w.inside)));
  Ended ended;
  Report report;
  call.With({.report = &report}, ended.handler(&w.clock));
  w.Run();
  CHECK(ended.status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(ended.at == At(4s));
  CHECK(w.service.cancelled() == Times{At(4s), At(4s)});
  CHECK(report.ended_by == EndReason::kDeadline);
  w.CheckAllReturned();
}

TEST_CASE("asynchronous: a stop request ends a hedged call, and each of its attempts") {
  HedgeWorld w;
  w.service.Script({{60s, kOk}});
  Ended ended;
  std::stop_source stop;
  Report report;
  w.Hedging().With({.stop = stop.get_token(), .report = &report}, ended.handler(&w.clock));
  w.RunUntil(At(4s));
  stop.request_stop();
  w.Run();
  CHECK(ended.calls == 1);
  CHECK(ended.status.code() == absl::StatusCode::kCancelled);
  CHECK(ended.at == At(4s));
  CHECK(w.service.cancelled() == Times{At(4s), At(4s)});
  CHECK(w.breaker->counts().failures == 0);
  CHECK(report.ended_by == EndReason::kCancelled);
  w.CheckAllReturned();
}

// Two runs of it at once would share what it has.
struct Streamed {};

}  // namespace

template <>
struct RequestTraits<Streamed> {
  static Repeatability RepeatabilityOf(const Streamed&) {
    return {.idempotent = true, .reuse = Reuse::kInTurn};
  }
};

namespace {

template <class S>
auto AroundStreamed(World& w, const S& stack) {
  return stack.AroundAsync(
      [ask = w.service.executor()](const Streamed&, auto token) { return ask(std::move(token)); },
      w.io.get_executor(), &w.clock);
}

TEST_CASE("asynchronous: what can't be shared is sent once, and is awaited beyond the deadline") {
  World w;
  w.service.Script({{9s, kBusy, /*ignores_cancellation=*/true}, {1s, kOk}});
  Ended ended;
  const bool hedged = GENERATE(false, true);
  if (hedged) {
    const auto call = AroundStreamed(
        w,
        Stack(Retrying(), Timeout(2s), Hedge({.delay = 1s, .budget = RetryBudget::Unlimited()})));
    call(Streamed(), ended.handler(&w.clock));
    w.Run();
  } else {
    auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
    const auto call = AroundStreamed(w, Stack(Retrying(), Timeout(2s, pool)));
    call(Streamed(), ended.handler(&w.clock));
    w.Run();
  }
  CHECK(ended.status.ok());
  CHECK(w.service.cancelled() == Times{At(2s)});
  CHECK(w.service.started() == Times{At(0s), At(10s)});
}

TEST_CASE("asynchronous: a stopped call awaits what can't be shared") {
  World w;
  const bool ignores = GENERATE(false, true);
  w.service.Script({{9s, kBusy, ignores}});
  const auto call = AroundStreamed(
      w, Stack(Retrying(), Hedge({.delay = 1s, .budget = RetryBudget::Unlimited()})));
  std::stop_source stop;
  Ended ended;
  call.With({.stop = stop.get_token()}, Streamed(), ended.handler(&w.clock));
  w.RunUntil(At(3s));
  stop.request_stop();
  w.Run();
  CHECK(absl::IsCancelled(ended.status));
  CHECK(ended.at == (ignores ? At(9s) : At(3s)));
  CHECK(w.service.started() == Times{At(0s)});
}

TEST_CASE("asynchronous: retries around a hedge number their attempts on") {
  World w;
  w.service.Script({{3s, kBusy}, {1s, kBusy}, {500ms, kOk}});
  std::vector<int> numbers;
  const auto call =
      Stack(Retrying(), Hedge({.delay = 1s, .budget = RetryBudget::Unlimited()}, HedgeAll()))
          .AroundAsync(
              [&](Call& c, auto&& token) {
                numbers.push_back(c.attempt());
                return w.service.Ask(std::forward<decltype(token)>(token));
              },
              w.io.get_executor(), &w.clock);
  Ended ended;
  Report report;
  call.With({.report = &report}, ended.handler(&w.clock));
  w.Run();
  CHECK(ended.status.ok());
  CHECK(ended.at == At(4s) + 500ms);
  CHECK(numbers == std::vector<int>{1, 2, 3});
  CHECK(report.attempts == 3);
  REQUIRE(report.history.size() == 3);
  CHECK(report.history[2].start == At(4s));
  CHECK(report.history[2].delay == 1s);
}

TEST_CASE("asynchronous: a policy sees the request, which lives as long as the call") {
  World w;
  const auto bytes = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 10, .burst = 10});
  const auto length = FromRequest<std::string>(
      [](const std::string& request) { return static_cast<std::int64_t>(request.size()); });
  const auto send = [&w](const std::string&, auto&& token) {
    return w.service.Ask(std::forward<decltype(token)>(token));
  };
  w.service.Script({{0s, kOk}});
  const auto call =
      Stack(RateLimit(bytes, {.cost = length})).AroundAsync(send, w.io.get_executor(), &w.clock);
  Ended first;
  Ended second;
  call(std::string("ten bytes!"), first.handler(&w.clock));
  call(std::string("five."), second.handler(&w.clock));
  w.Run();
  CHECK(first.at == At(0s));
  CHECK(second.at == At(500ms));
}

}  // namespace
}  // namespace holdfast
