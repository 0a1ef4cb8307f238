#include "holdfast/concurrency/adaptive_limit.h"

#include <absl/status/status.h>

#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include "holdfast/base/rejection.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::adaptive_limit_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using testing::Reply;
using testing::Simulate;
using testing::World;

constexpr BulkheadOptions kPatient = {.max_wait = Duration::max()};

std::shared_ptr<AdaptiveLimiter> Limiter(AdaptiveLimiter::Options options) {
  return std::make_shared<AdaptiveLimiter>(std::move(options));
}

// Calls from all who want, one after the other as places are free, for ten seconds. Each takes
// 10 ms and ends with `answer`.
template <class Policies>
void Load(const Policies& stack, const absl::Status& answer, const CallOptions& options = {}) {
  World world;
  auto call = Simulate(world, stack, [&](Call&, Reply<absl::Status> reply) {
    world.After(10ms, [&answer, reply] { reply.Done(answer); });
  });
  for (int i = 0; i < 10'000; ++i) {
    world.At(i * 1ms, [&] {
      for (int n = 0; n < 10; ++n) call.With(options, nullptr, [](const std::exception_ptr&) {});
    });
  }
  world.RunUntil(10s);
}

TEST_CASE("an adaptive limit holds a permit while the call is below it, and no longer") {
  const auto limiter = Limiter({});
  std::int64_t during = 0;
  const auto call = Stack(AdaptiveLimit(limiter)).Around([&] {
    during = limiter->in_use();
    return absl::OkStatus();
  });
  CHECK(call().ok());
  CHECK(during == 1);
  CHECK(limiter->in_use() == 0);
}

TEST_CASE("a full adaptive limit refuses in its own name, as a bulkhead would") {
  FakeClock clock;
  const auto limiter = Limiter({.initial = 1, .name = "db"});
  const auto held = limiter->AdmitAt(clock.Now());
  const auto ok = [] { return absl::OkStatus(); };

  const absl::Status full = Stack(AdaptiveLimit(limiter, {.max_wait = 0s})).Around(ok, &clock)();
  CHECK(full.code() == absl::StatusCode::kResourceExhausted);
  REQUIRE(RejectionOf(full).has_value());
  CHECK(RejectionOf(full)->policy == "AdaptiveLimit");
  CHECK(RejectionOf(full)->name == "db");
  CHECK(RejectionOf(full)->kind == RejectionKind::kBulkheadFull);

  const absl::Status waited = Stack(AdaptiveLimit(limiter, {.max_wait = 1s})).Around(ok, &clock)();
  CHECK(waited.code() == absl::StatusCode::kResourceExhausted);
  CHECK(clock.Now() == TimePoint{1s});

  const absl::Status late =
      Stack(Timeout(1s), AdaptiveLimit(limiter, kPatient)).Around(ok, &clock)();
  CHECK(late.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(RejectionOf(late)->policy == "AdaptiveLimit");
  CHECK(limiter->in_use() == 1);
  CHECK(limiter->queued() == 0);
}

TEST_CASE("every refusal of an adaptive limit bears its name") {
  FakeClock clock;
  const auto limiter = Limiter({.initial = 1, .name = "db"});
  auto held = limiter->AdmitAt(clock.Now());
  const auto policy_of = [&](const BulkheadOptions& options) {
    const auto call =
        Stack(AdaptiveLimit(limiter, options)).Around([] { return absl::OkStatus(); }, &clock);
    return RejectionOf(call())->policy;
  };
  CHECK(policy_of({}) == "AdaptiveLimit");
  CHECK(policy_of({.max_queue = 0}) == "AdaptiveLimit");
  CHECK(RejectionOf(limiter->AdmitAt(clock.Now()).status())->policy == "AdaptiveLimit");

  // A waiter that has to make room for a call of higher priority.
  clock.set_auto_advance(false);
  const auto call = Stack(AdaptiveLimit(limiter, {.max_queue = 1}))
                        .Around([] { return absl::OkStatus(); }, &clock);
  absl::Status made_room;
  std::jthread low([&] { made_room = call.With({.priority = Priority::kLow}); });
  clock.AwaitWaiters(1);
  std::jthread normal([&] { (void)call(); });
  low.join();
  CHECK(RejectionOf(made_room)->policy == "AdaptiveLimit");
  held->DoneAt(clock.Now(), Outcome::kSuccess);
}

TEST_CASE("by default a call waits for a place for a second") {
  FakeClock clock;
  const auto limiter = Limiter({.initial = 1});
  const auto held = limiter->AdmitAt(clock.Now());
  const auto call = Stack(AdaptiveLimit(limiter)).Around([] { return absl::OkStatus(); }, &clock);
  CHECK(absl::IsResourceExhausted(call()));
  CHECK(clock.Now() == TimePoint{1s});
}

TEST_CASE("a call that waits gets the place that comes free") {
  FakeClock clock;
  const auto limiter = Limiter({.initial = 1});
  auto held = limiter->AdmitAt(clock.Now());
  const auto call =
      Stack(AdaptiveLimit(limiter, kPatient)).Around([] { return absl::OkStatus(); }, &clock);
  absl::Status status = absl::UnknownError("");
  std::jthread caller([&] { status = call(); });
  clock.AwaitWaiters(1);
  CHECK(limiter->queued() == 1);
  held->DoneAt(clock.Now(), Outcome::kSuccess);
  caller.join();
  CHECK(status.ok());
  CHECK(limiter->in_use() == 0);
}

TEST_CASE("an adaptive limit refuses what makes no sense") {
  CHECK_THROWS_AS(AdaptiveLimit(std::shared_ptr<AdaptiveLimiter>()), std::invalid_argument);
  CHECK_THROWS_AS(AdaptiveLimit(AdaptiveLimiter::Options{.minimum = 0}), std::invalid_argument);
  CHECK_THROWS_AS(AdaptiveLimit(Limiter({}), {.max_queue = -1}), std::invalid_argument);
  CHECK_THROWS_WITH(AdaptiveLimit({.min_samples = 0}),
                    "AdaptiveLimiter: min_samples must be in [1, 1000]");
  CHECK(Stack(AdaptiveLimit({})).Around([] { return absl::OkStatus(); })().ok());
}

TEST_CASE("the limit follows what becomes of calls in a stack") {
  const auto after = [](const absl::Status& answer) {
    const auto limiter = Limiter({.algorithm = Aimd{}, .minimum = 1});
    Load(Stack(AdaptiveLimit(limiter, {.max_wait = 0s})), answer);
    CHECK(limiter->in_use() == 0);
    return limiter->limit();
  };
  CHECK(after(absl::OkStatus()) > 40);
  CHECK(after(absl::UnavailableError("busy")) == 1);
  CHECK(after(absl::DeadlineExceededError("late")) == 1);
  CHECK(after(absl::InvalidArgumentError("no such thing")) == 20);
  CHECK(after(absl::CancelledError("")) == 20);
}

TEST_CASE("timeouts below an adaptive limit are drops, and shrink it") {
  const auto limiter = Limiter({.algorithm = Aimd{}, .minimum = 1});
  Load(Stack(AdaptiveLimit(limiter, {.max_wait = 0s}), Timeout(5ms)), absl::OkStatus());
  CHECK(limiter->limit() == 1);
}

TEST_CASE("what another policy below refuses is no latency and no drop") {
  const auto inner = Limiter({.initial = 1, .maximum = 1});
  const auto held = inner->AdmitAt(TimePoint{});
  const auto limiter = Limiter({.algorithm = Aimd{}, .minimum = 1});
  Load(Stack(AdaptiveLimit(limiter, {.max_wait = 0s}), AdaptiveLimit(inner, {.max_wait = 0s})),
       absl::OkStatus());
  CHECK(limiter->limit() == 20);
}

TEST_CASE("calls that their callers stop are no latency and no drop") {
  std::stop_source stop;
  stop.request_stop();
  const auto limiter = Limiter({.algorithm = Aimd{}, .minimum = 1});
  Load(Stack(AdaptiveLimit(limiter, {.max_wait = 0s})), absl::OkStatus(),
       {.stop = stop.get_token()});
  CHECK(limiter->limit() == 20);
  CHECK(limiter->in_use() == 0);
}

TEST_CASE("a classifier of a stack's own sees the call and the result") {
  const auto limiter = Limiter({.algorithm = Aimd{}, .minimum = 1});
  const auto classify = [](const Call&, const absl::Status& status) {
    return absl::IsInternal(status) ? Outcome::kFailure : Outcome::kIgnored;
  };
  Load(Stack(AdaptiveLimit(limiter, {.max_wait = 0s}, classify)), absl::InternalError("overload"));
  CHECK(limiter->limit() == 1);
}

TEST_CASE("a classifier that throws leaves nothing behind, and its calls count for nothing") {
  const auto classify = [](const Call&, const absl::Status&) -> Outcome {
    throw std::runtime_error("no idea");
  };
  const auto steady = Limiter({});
  const auto call =
      Stack(AdaptiveLimit(steady, {}, classify)).Around([] { return absl::OkStatus(); });
  CHECK_THROWS_AS(call(), std::runtime_error);
  CHECK(steady->in_use() == 0);
  const auto limiter = Limiter({.algorithm = Aimd{}, .minimum = 1});
  Load(Stack(AdaptiveLimit(limiter, {.max_wait = 0s}, classify)), absl::OkStatus());
  CHECK(limiter->limit() == 20);
  CHECK(limiter->in_use() == 0);

  const auto own = Limiter(
      {.classify = [](const absl::Status&) -> Outcome { throw std::runtime_error("no idea"); }});
  CHECK_THROWS_AS(Stack(AdaptiveLimit(own)).Around([] { return absl::OkStatus(); })(),
                  std::runtime_error);
  CHECK(own->in_use() == 0);
}

TEST_CASE("an executor that throws gives its place back") {
  const auto limiter = Limiter({});
  const auto call = Stack(AdaptiveLimit(limiter)).Around([]() -> absl::Status {
    throw std::runtime_error("broken");
  });
  for (int i = 0; i < 100; ++i) CHECK_THROWS_AS(call(), std::runtime_error);
  CHECK(limiter->in_use() == 0);
  CHECK(limiter->limit() == 20);
}

TEST_CASE("copies of an adaptive limit, and retries, share one limiter") {
  const auto limiter = Limiter({});
  const AdaptiveLimit limit(limiter);
  int attempts = 0;
  const auto call =
      Stack(Retry({.max_attempts = 3, .backoff = Backoff::Constant(0s)}), limit, limit).Around([&] {
        CHECK(limiter->in_use() == 2);
        return ++attempts < 3 ? absl::UnavailableError("") : absl::OkStatus();
      });
  CHECK(call().ok());
  CHECK(attempts == 3);
  CHECK(limiter->in_use() == 0);
}

TEST_CASE("an adaptive limit says what it is") {
  const AdaptiveLimit limit(
      AdaptiveLimiter::Options{.algorithm = Gradient2{}, .initial = 30, .name = "db"},
      {.max_wait = 2s, .max_queue = 7});
  CHECK(Stack(limit).Describe() ==
        "AdaptiveLimit(\"db\", 30 at once, queue of 7, waits up to 2s, Gradient2 from 20 to 200)");
  CHECK(limit.Info().limit == 200);
  CHECK(limit.Info().max_wait == 2s);
  CHECK(Stack(AdaptiveLimit({})).Describe() == "AdaptiveLimit(20 at once, Vegas from 1 to 1000)");
}

}  // namespace
}  // namespace holdfast::adaptive_limit_test
