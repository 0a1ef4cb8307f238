// Cancels a call of a six-policy stack after every event on its way, in every way there is.
#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/asio/support/service.h"
#include "test/support/catch.h"

namespace holdfast::cancellation_sweep_test {
namespace {

using namespace std::chrono_literals;
using testing::Ended;
using testing::FakeClock;
using testing::Service;

enum class By { kNothing, kSlot, kStopToken, kBoth, kContext, kCoroutine };

constexpr TimePoint kBegin{100s};

// A stack that makes its call wait for everything there is to wait for: a token, a permit (held by
// somebody until 3 s), an attempt that is cut off at its timeout, the backoff, a token again, an
// attempt that fails, and one that succeeds, as the breaker's only probe.
class Scene {
 public:
  Scene() {
    service.emplace(*io, clock);
    service->Script(
        {{60s, absl::OkStatus()}, {1s, absl::UnavailableError("busy")}, {1s, absl::OkStatus()}});
    // Half-open, so that a probe that was not given back would be missed.
    breaker->Admit()->Done(Outcome::kFailure);
    clock.Advance(60s);
    (void)bucket->AllowAt(clock.Now());
    permit = semaphore->TryAcquire();
    clock.SetTimer(other_end, kBegin + 3s);
  }

  auto Plain() {
    return Stack(Timeout(30s), Retrying(), CircuitBreak(breaker),
                 RateLimit(bucket, {.max_wait = 30s}),
                 Bulkhead(semaphore, {.max_wait = Duration::max()}), Timeout(2s));
  }
  auto Hedged() {
    return Stack(Timeout(30s), Retrying(), CircuitBreak(breaker),
                 RateLimit(bucket, {.max_wait = 30s}),
                 Hedge({.delay = 500ms, .budget = RetryBudget::Unlimited()}, HedgeAll()),
                 Bulkhead(semaphore, {.max_wait = Duration::max()}), Timeout(2s));
  }

  // The same with options that change while the call is under way.
  auto Changing() {
    RetryOptions first = retrying->options();
    first.on_retry = [mine = frame](const Call&, const RetryEvent&) {};
    CHECK(retrying->Update(std::move(first)).ok());
    return Stack(Timeout(total), Retry(retrying), CircuitBreak(breaker), RateLimit(bucket, limit),
                 Bulkhead(semaphore, queue), Timeout(2s));
  }
  // A call keeps the options that a policy had when the call came to it.
  void Change() {
    CHECK(total->Update({.limit = 1ms}).ok());
    RetryOptions once = retrying->options();
    once.max_attempts = 1;
    once.on_retry = nullptr;
    CHECK(retrying->Update(std::move(once)).ok());
    CHECK(limit->Update({.max_wait = 40s}).ok());
    CHECK(queue->Update({.max_wait = 40s}).ok());
  }

  template <class S>
  void Start(const S& stack, By by) {
    const auto call = stack.AroundAsync(service->executor(), io->get_executor(), &clock);
    const CallOptions options{.stop = stop.get_token(), .key = "key"};
    if (by == By::kCoroutine) {
      net::co_spawn(
          *io,
          [call, options, this]() -> net::awaitable<void> {
            // Not through the handler: in a frame that goes away with the coroutine.
            const std::shared_ptr<int> mine = frame;
            ended.handler (&clock)(nullptr, co_await call.With(options, net::use_awaitable));
          },
          net::bind_cancellation_slot(signal->slot(), net::detached));
      return;
    }
    // As large as that in a real program, and seen by the leak checker.
    auto handler = [this, mine = frame](std::exception_ptr error, absl::Status status) {
      ended.handler (&clock)(std::move(error), std::move(status));
    };
    call.With(options, net::bind_cancellation_slot(signal->slot(), std::move(handler)));
  }

  // Lets one thing happen: one handler run, the other's permit come back or time pass to the next
  // timer. False when nothing is left.
  bool Step() {
    io->restart();
    if (io->poll_one() != 0) return true;
    if (std::exchange(other_ends.now, false)) {
      permit.reset();
      return true;
    }
    return clock.AdvanceToNext();
  }
  void Finish() {
    while (Step()) {
    }
  }

  void Cancel(By by) {
    switch (by) {
      case By::kNothing:
        return;
      case By::kSlot:
      case By::kCoroutine:
        return signal->emit(net::cancellation_type::terminal);
      case By::kStopToken:
        stop.request_stop();
        return;
      case By::kBoth:
        signal->emit(net::cancellation_type::partial);
        stop.request_stop();
        return signal->emit(net::cancellation_type::all);
      case By::kContext:
        io.reset();
        return;
    }
  }

  // That nothing is held any more, by policies or by the operation, and nothing will ring.
  void CheckNothingHeld() {
    clock.CancelTimer(other_end);
    permit.reset();
    CHECK(semaphore->in_use() == 0);
    CHECK(semaphore->queued() == 0);
    CHECK(service->under_way() == 0);
    CHECK(frame.use_count() == 1);
    CHECK_FALSE(clock.AdvanceToNext());
  }

  FakeClock clock{kBegin - 60s};
  std::optional<net::io_context> io{std::in_place};
  std::optional<Service> service;
  std::shared_ptr<CircuitBreaker> breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.timeout = 50s,
                              .ready_to_trip = [](const BreakerCounts&) { return true; },
                              .classify =
                                  [](const absl::Status& status) {
                                    return status.ok() ? Outcome::kSuccess : Outcome::kIgnored;
                                  },
                              .clock = &clock});
  std::shared_ptr<TokenBucket> bucket =
      std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 0.5, .burst = 1, .clock = &clock});
  std::shared_ptr<Semaphore> semaphore =
      std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  struct : Waker {
    void Wake() noexcept override { now = true; }
    bool now = false;
  } other_ends;
  Timer other_end{other_ends};
  std::shared_ptr<Settings<TimeoutOptions>> total = Make(TimeoutOptions{.limit = 30s});
  std::shared_ptr<Settings<RetryOptions>> retrying = Make(RetryOptions{
      .max_attempts = 4, .backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()});
  std::shared_ptr<Settings<RateLimitOptions>> limit = Make(RateLimitOptions{.max_wait = 30s});
  std::shared_ptr<Settings<BulkheadOptions>> queue = Make(BulkheadOptions{.max_wait = 30s});
  std::optional<Permit> permit;  // the other's
  std::optional<net::cancellation_signal> signal{std::in_place};
  std::stop_source stop;
  std::shared_ptr<int> frame = std::make_shared<int>(1);
  Ended ended;

 private:
  template <class Options>
  static std::shared_ptr<Settings<Options>> Make(Options options) {
    return std::make_shared<Settings<Options>>(std::move(options));
  }
  static Retry<> Retrying() {
    return Retry(
        {.max_attempts = 4, .backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()});
  }
};

// Steps until the call is over, and how many there were.
template <class Start>
int CountSteps(const Start& start) {
  Scene scene;
  start(scene, By::kNothing);
  int steps = 0;
  while (scene.ended.calls == 0 && scene.Step()) ++steps;
  CHECK(scene.ended.status == absl::OkStatus());
  CHECK(scene.service->started().size() >= 3);
  scene.Finish();
  scene.CheckNothingHeld();
  return steps;
}

template <class Start>
void CancelAfter(int step, By by, const Start& start) {
  CAPTURE(step, static_cast<int>(by));
  Scene scene;
  start(scene, by);
  for (int i = 0; i < step; ++i) REQUIRE(scene.Step());
  REQUIRE(scene.ended.calls == 0);
  const std::size_t started = scene.service->started().size();
  const double tokens = scene.bucket->Tokens();
  const bool token_due = tokens < 0;
  scene.Cancel(by);
  CHECK(scene.ended.calls == 0);  // not from within the cancellation

  if (by == By::kContext) {
    CHECK(scene.ended.calls == 0);
    scene.CheckNothingHeld();
  } else {
    // At once: no time need pass. A success that was on its way is a success.
    while (scene.io->restart(), scene.io->poll_one() != 0) {
    }
    CHECK(scene.ended.calls == 1);
    CHECK(scene.ended.error == nullptr);
    if (!scene.ended.status.ok()) {
      CHECK(scene.ended.status.code() == absl::StatusCode::kCancelled);
    }
    CHECK(scene.service->started().size() - started <= 1);  // one that was on its way
    scene.Finish();
    CHECK(scene.ended.calls == 1);
    scene.CheckNothingHeld();
  }
  // A token that was promised came back, while one that an attempt used did not.
  if (token_due && scene.service->started().size() == started) {
    CHECK(scene.bucket->TokensAt(scene.clock.Now()) >= tokens + 1);
  }
  // The breaker has its probe's place free, and counts no failure.
  CHECK(scene.breaker->counts().failures == 0);
  scene.clock.Advance(60s);
  CHECK(scene.breaker->Admit().ok());
}

TEST_CASE("a call is cancelled after every event on its way through six policies") {
  const auto start = [](Scene& scene, By by) { scene.Start(scene.Plain(), by); };
  const int steps = CountSteps(start);
  CHECK(steps > 15);
  const By by = GENERATE(By::kSlot, By::kStopToken, By::kBoth, By::kContext, By::kCoroutine);
  // A coroutine that is cancelled before it has begun makes no call.
  for (int step = by == By::kCoroutine ? 1 : 0; step < steps; ++step) CancelAfter(step, by, start);
}

TEST_CASE("a call whose options change under way is cancelled after every event on its way") {
  const auto start = [](Scene& scene, By by) {
    scene.Start(scene.Changing(), by);
    REQUIRE(scene.Step());  // the call has begun, and found its options
    scene.Change();
  };
  const int steps = CountSteps(start);
  CHECK(steps > 15);
  const By by = GENERATE(By::kSlot, By::kStopToken, By::kBoth, By::kContext, By::kCoroutine);
  for (int step = 0; step < steps; ++step) CancelAfter(step, by, start);
}

TEST_CASE("a hedged call is cancelled after every event on its way") {
  const auto start = [](Scene& scene, By by) {
    scene.semaphore->SetLimit(2);
    scene.permit = scene.semaphore->TryAcquire(1);
    scene.Start(scene.Hedged(), by);
  };
  const int steps = CountSteps(start);
  CHECK(steps > 20);
  const By by = GENERATE(By::kSlot, By::kStopToken, By::kBoth, By::kContext, By::kCoroutine);
  // A coroutine that is cancelled before it has begun makes no call.
  for (int step = by == By::kCoroutine ? 1 : 0; step < steps; ++step) CancelAfter(step, by, start);
}

TEST_CASE("a signal may go away before the call does, and after") {
  const int step = GENERATE(range(0, 12));
  CAPTURE(step);
  Scene scene;
  scene.Start(scene.Plain(), By::kNothing);
  for (int i = 0; i < step; ++i) REQUIRE(scene.Step());
  SECTION("before, and the call ends") {
    scene.signal.reset();
    scene.Finish();
    CHECK(scene.ended.calls == 1);
    CHECK(scene.ended.status.ok());
  }
  SECTION("before, and the context ends") {
    scene.signal.reset();
    scene.io.reset();
  }
  SECTION("after the context, and says so to nobody") {
    scene.io.reset();
    scene.signal->emit(net::cancellation_type::terminal);
    scene.stop.request_stop();
  }
  scene.CheckNothingHeld();
}

}  // namespace
}  // namespace holdfast::cancellation_sweep_test
