// What becomes of the tokens of calls that a policy inside of the limit refused.
#include <absl/status/status.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/base/thread_pool.h"
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/call/verdict.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/rate/keyed_rate_limit.h"
#include "holdfast/rate/pace.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/caller.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/rate_oracle.h"

namespace holdfast::refund_test {
namespace {

using namespace std::chrono_literals;
using test::Caller;
using testing::ActedOn;
using testing::FakeClock;
using testing::RateStep;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

std::shared_ptr<TokenBucket> Bucket(double rate, std::int64_t burst) {
  return std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = rate, .burst = burst, .name = "route"});
}

std::shared_ptr<KeyedTokenBucket> Buckets(double rate, std::int64_t burst) {
  return std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = rate, .burst = burst}, .name = "customers"});
}

const auto kSucceed = [] { return absl::OkStatus(); };

// Keeps a call for a while, and refuses it or not.
class Gate {
 public:
  struct Plan {
    Duration stay{0};
    bool refuses = false;
    TimePoint* entered = nullptr;
  };
  explicit Gate(const Plan& next) : next_(&next) {}

  struct State {
    bool entered = false;
    Plan plan;
    TimePoint until;
  };
  Verdict Before(Call& call, State& state) const {
    if (!std::exchange(state.entered, true)) {
      state.plan = *next_;
      if (state.plan.entered != nullptr) *state.plan.entered = call.now();
      state.until = call.now() + state.plan.stay;
    }
    if (call.now() < state.until) return Verdict::Wait(state.until);
    if (!state.plan.refuses) return Verdict::Proceed();
    static const absl::Status refusal = MakeRejection(absl::StatusCode::kUnavailable, {}, "no");
    return Verdict::Reject(refusal);
  }
  template <class R>
  Next After(Call&, State&, R&) const {
    return Next::Done();
  }

 private:
  const Plan* next_;
};

TEST_CASE("who is refused by a limit inside uses up nothing of the one outside") {
  FakeClock clock;
  const auto route = Bucket(10, 20);
  const auto customers = Buckets(1, 1);
  const auto call = Stack(RateLimit(route, {.max_wait = 0s, .refund_refused = true}),
                          KeyedRateLimit(customers, {.max_wait = 0s}))
                        .Around(kSucceed, &clock);
  for (int i = 0; i < 1000; ++i) {
    CHECK(call.With({.key = "abuser"}).ok() == (i == 0));
  }
  CHECK(route->TokensAt(clock.Now()) == 19);
  for (int i = 0; i < 19; ++i) CHECK(call.With({.key = std::to_string(i)}).ok());
  CHECK(route->TokensAt(clock.Now()) == 0);
}

TEST_CASE(
    "a limit keeps the tokens of those who were refused inside, unless it is told otherwise") {
  FakeClock clock;
  const bool refund = GENERATE(false, true);
  const auto bucket = Bucket(1, 5);
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  const auto call = Stack(RateLimit(bucket, {.refund_refused = refund}), CircuitBreak(breaker))
                        .Around(kSucceed, &clock);
  CHECK(call().ok());
  breaker->SetModeAt(clock.Now(), BreakerMode::kForcedOpen);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == (refund ? 4 : 1));
}

TEST_CASE("an attempt that ran keeps its tokens, though the next one was refused") {
  FakeClock clock;
  const auto bucket = Bucket(1, 5);
  const auto breaker =
      std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.rules = {ConsecutiveFailures(1)}});
  const auto call =
      Stack(RateLimit(bucket, {.refund_refused = true}),
            Retry({.max_attempts = 2, .backoff = Backoff::Constant(0s)}), CircuitBreak(breaker))
          .Around([] { return absl::UnavailableError("down"); }, &clock);
  CHECK_FALSE(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 4);
  CHECK_FALSE(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 4);
}

TEST_CASE("a failure, and a refusal outside, cost what they cost") {
  FakeClock clock;
  const auto bucket = Bucket(1, 5);
  const auto call = Stack(RateLimit(bucket, {.refund_refused = true}))
                        .Around([] { return absl::UnavailableError("down"); }, &clock);
  CHECK_FALSE(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 4);
  const auto thrower = Stack(RateLimit(bucket, {.refund_refused = true}))
                           .Around([]() -> absl::Status { throw 1; }, &clock);
  CHECK_THROWS(thrower());
  CHECK(bucket->TokensAt(clock.Now()) == 3);
}

TEST_CASE("with a true cost, a refused call costs nothing, and any other what it did") {
  FakeClock clock;
  const auto bucket = Bucket(1, 10);
  Gate::Plan plan{.refuses = true};
  const auto call =
      Stack(RateLimit(bucket, {.cost = [](const Call&) { return 3; }, .refund_refused = true},
                      [](const Call&, const absl::Status&) { return 5; }),
            Gate(plan))
          .Around(kSucceed, &clock);
  CHECK_FALSE(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 10);
  plan.refuses = false;
  CHECK(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 5);
}

using Limited = Caller<RateLimit<>, Gate>;

TEST_CASE("what a refused call gives back lets the next one go that waits") {
  FakeClock clock;
  const auto bucket = Bucket(1, 1);
  Gate::Plan plan{.refuses = true};
  std::tuple policies(RateLimit{bucket, {.max_wait = 100s, .refund_refused = true}}, Gate(plan));
  CHECK(bucket->AllowAt(clock.Now()));
  std::deque<Limited> calls;
  for (int i = 0; i < 100; ++i) calls.emplace_back(policies, clock);
  CHECK(calls.back().goes_at() == At(100s));
  clock.Advance(1s);
  for (Limited& call : calls) CHECK_FALSE(call.Look().waits());
  CHECK(bucket->TokensAt(clock.Now()) == 1);
}

TEST_CASE("a call that is stopped inside, before an attempt, gives back as if it were refused") {
  FakeClock clock;
  const auto bucket = Bucket(1, 2);
  const Gate::Plan plan{.stay = 10ms};
  std::tuple policies(RateLimit{bucket, {.refund_refused = true}}, Gate(plan));
  Limited call(policies, clock);
  CHECK(bucket->TokensAt(clock.Now()) == 1);
  CHECK(call.Stop().code() == absl::StatusCode::kCancelled);
  CHECK(bucket->TokensAt(clock.Now()) == 2);
}

TEST_CASE("what came meanwhile to a bucket that would have been full is not given twice") {
  FakeClock clock;
  const auto bucket = Bucket(1, 2);
  const Gate::Plan plan{.stay = 1s, .refuses = true};
  std::tuple policies(RateLimit{bucket, {.refund_refused = true}}, Gate(plan));
  Limited call(policies, clock);
  clock.Advance(1s);
  CHECK(bucket->AllowAt(clock.Now(), 2));  // as if nobody had come before
  CHECK_FALSE(call.Look().waits());
  CHECK(bucket->TokensAt(clock.Now()) == 0);
}

TEST_CASE("a new rate in between keeps the tokens") {
  FakeClock clock;
  const auto bucket = Bucket(1, 2);
  const Gate::Plan plan{.stay = 1ms, .refuses = true};
  std::tuple policies(RateLimit{bucket, {.refund_refused = true}}, Gate(plan));
  Limited call(policies, clock);
  bucket->SetRateAt(clock.Now(), 0);
  clock.Advance(1ms);
  CHECK(call.Look().result().code() == absl::StatusCode::kUnavailable);
  CHECK(bucket->TokensAt(clock.Now()) == 1);
}

// Whoever is let in stays for a while, and is refused or not.
template <class Limit>
class Visitors {
 public:
  explicit Visitors(Limit limit) : policies_(std::move(limit), Gate(plan_)) {}

  void Come(std::int64_t cost, Gate::Plan plan) {
    all_.push_back({.plan = plan, .cost = cost});
    One& one = all_.back();
    Prepare(one);
    one.call = std::make_unique<Caller<Limit, Gate>>(policies_, clock_);
    LookRound();
  }

  // Each goes on at its time.
  void Advance(Duration d) {
    const TimePoint end = clock_.Now() + d;
    for (TimePoint next = Next(); next < end; next = Next()) {
      clock_.Advance(next - clock_.Now());
      LookRound();
    }
    clock_.Advance(end - clock_.Now());
    LookRound();
  }

  // Those who were not refused.
  std::vector<ActedOn> Passed() const {
    std::vector<ActedOn> passed;
    for (const One& one : all_) {
      if (one.plan.refuses || one.entered == TimePoint::max()) continue;
      passed.push_back({.n = one.cost, .at = one.entered, .latest = one.entered});
    }
    return passed;
  }

 private:
  struct One {
    Gate::Plan plan;
    std::int64_t cost;
    TimePoint entered = TimePoint::max();
    std::unique_ptr<Caller<Limit, Gate>> call = nullptr;
  };

  void Prepare(One& one) {
    plan_ = one.plan;
    plan_.entered = &one.entered;
  }

  TimePoint Next() const {
    TimePoint next = TimePoint::max();
    for (const One& one : all_) {
      if (one.call->waits()) next = std::min(next, one.call->goes_at());
    }
    return next;
  }

  // What one gives back may be what another waits for.
  void LookRound() {
    for (bool again = true; std::exchange(again, false);) {
      for (One& one : all_) {
        if (!one.call->waits()) continue;
        const TimePoint before = one.call->goes_at();
        Prepare(one);
        one.call->Look();
        again = again || !one.call->waits() || one.call->goes_at() != before;
      }
    }
  }

  FakeClock clock_{At(1h)};
  Gate::Plan plan_;
  std::tuple<Limit, Gate> policies_;
  std::deque<One> all_;
};

template <class Limit>
void NeverMoreThanTheBound(const std::vector<RateStep>& steps, std::int64_t rate,
                           std::int64_t burst, Limit limit, std::int64_t& cost) {
  Visitors<Limit> visitors(std::move(limit));
  for (const RateStep& step : steps) {
    const Duration span = testing::SpanOf(step.span / 3, rate, burst);
    if (step.kind == RateStep::kAdvance) {
      visitors.Advance(span);
    } else {
      cost = 1 + step.which % burst;
      visitors.Come(cost, {.stay = step.span % 3 == 0 ? Duration(0) : span,
                           .refuses = step.kind != RateStep::kReserve});
    }
  }
  RC_ASSERT(testing::ExceededWindow(visitors.Passed(), rate, burst) == "");
}

std::vector<RateStep> AnySteps() {
  return *rc::gen::container<std::vector<RateStep>>(rc::gen::build<RateStep>(
      rc::gen::set(&RateStep::kind,
                   rc::gen::elementOf(std::vector{RateStep::kReserve, RateStep::kAllow,
                                                  RateStep::kAllow, RateStep::kAdvance})),
      rc::gen::set(&RateStep::which), rc::gen::set(&RateStep::span)));
}

TEST_CASE("with refunds no window of time has more than the burst and what comes in it") {
  test::Property(10, [] {
    const std::int64_t rate = *rc::gen::element<std::int64_t>(1, 3, 10, 1000);
    const std::int64_t burst = *rc::gen::inRange<std::int64_t>(1, 6);
    const Duration max_wait = *rc::gen::element<Duration>(0s, 1h);
    std::int64_t cost = 1;
    const auto costs = [&cost](const Call&) { return cost; };
    const auto steps = AnySteps();
    NeverMoreThanTheBound(steps, rate, burst,
                          RateLimit(Bucket(static_cast<double>(rate), burst),
                                    {.max_wait = max_wait, .cost = costs, .refund_refused = true}),
                          cost);
    NeverMoreThanTheBound(
        steps, rate, burst,
        KeyedRateLimit(Buckets(static_cast<double>(rate), burst),
                       {.max_wait = max_wait, .cost = costs, .refund_refused = true}),
        cost);
    NeverMoreThanTheBound(
        steps, rate, burst,
        KeyedRateLimit(Buckets(static_cast<double>(rate), burst), Bucket(1e6, 100),
                       {.max_wait = max_wait, .cost = costs, .refund_refused = true}),
        cost);
  });
}

TEST_CASE(
    "a hedged call keeps its tokens where any attempt ran, and has them back where none did") {
  FakeClock clock;
  const auto bucket = Bucket(1, 5);
  Gate::Plan plan{.refuses = true};
  const auto call =
      Stack(RateLimit(bucket, {.refund_refused = true}),
            Hedge({.pool = std::make_shared<ThreadPool>(ThreadPool::Options{})}, HedgeAll()),
            Gate(plan))
          .Around(kSucceed, &clock);
  CHECK_FALSE(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 5);
  plan.refuses = false;
  CHECK(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 4);
}

TEST_CASE("a key's bucket takes back what was refused inside") {
  FakeClock clock;
  const auto customers = Buckets(1, 5);
  Gate::Plan plan{.refuses = true};
  const auto call = Stack(KeyedRateLimit(customers, {.refund_refused = true}), Gate(plan))
                        .Around(kSucceed, &clock);
  for (int i = 0; i < 10; ++i) CHECK_FALSE(call.With({.key = "a"}).ok());
  CHECK(customers->TokensAt(clock.Now(), "a") == 5);
  plan.refuses = false;
  CHECK(call.With({.key = "a"}).ok());
  CHECK(customers->TokensAt(clock.Now(), "a") == 4);
}

TEST_CASE("a key that was forgotten meanwhile, and came back, is given nothing") {
  FakeClock clock;
  const KeyedTokenBucket::Limits limits{.rate = 1, .burst = 2};
  const auto customers = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = limits,
                                .limits_for = [limits](std::string_view) { return limits; },
                                .max_keys = 1});
  const Gate::Plan plan{.stay = 20s, .refuses = true};
  std::tuple policies(
      KeyedRateLimit{customers, {.cost = [](const Call&) { return 2; }, .refund_refused = true}},
      Gate(plan));
  Caller<KeyedRateLimit<>, Gate> call(policies, clock, {.key = "a"});
  clock.Advance(10s);
  CHECK(customers->AllowAt(clock.Now(), "b"));
  clock.Advance(10s);
  CHECK(customers->AllowAt(clock.Now(), "a", 2));
  CHECK(call.Look().result().code() == absl::StatusCode::kUnavailable);
  CHECK(customers->TokensAt(clock.Now(), "a") == 0);
}

TEST_CASE("a pacer's last place goes back where the call was refused inside") {
  FakeClock clock;
  const bool refund = GENERATE(false, true);
  const auto pacer = std::make_shared<Pacer>(Pacer::Options{.rate = 10, .slack = 0});
  Gate::Plan plan{.refuses = true};
  const auto call =
      Stack(Pace(pacer, {.refund_refused = refund}), Gate(plan)).Around(kSucceed, &clock);
  CHECK_FALSE(call().ok());
  CHECK_FALSE(call().ok());
  plan.refuses = false;
  CHECK(call().ok());
  CHECK(clock.Now() == (refund ? At(0s) : At(200ms)));
  CHECK(call().ok());
  CHECK(clock.Now() == (refund ? At(100ms) : At(300ms)));
}

}  // namespace
}  // namespace holdfast::refund_test
