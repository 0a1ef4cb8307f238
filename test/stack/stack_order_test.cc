// What a stack says of itself, and which settings it refuses. For the orders that it refuses see
// negative/.
#include <absl/status/status.h>

#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/holdfast.h"
#include "test/support/catch.h"

namespace holdfast::stack_order_test {
namespace {

using namespace std::chrono_literals;
using test::ContainsSubstring;

constexpr Duration kForever = Duration::max();

const TokenBucket::Options kOneASecond{.rate = 1, .burst = 1};
const auto kAnswer = [](const absl::Status&) { return absl::OkStatus(); };

template <class... Parts>
std::string Described(Parts... parts) {
  return Stack(std::move(parts)...).Describe();
}

// A policy that says no more than it must, or only what it is called, or all that there is.
struct Nameless {
  struct State {};
  Verdict Before(Call&, State&) { return Verdict::Proceed(); }
  template <class R>
  Next After(Call&, State&, R&) {
    return Next::Done();
  }
};
struct Named : Nameless {
  static constexpr const char* kName = "Named";
};
struct Talkative : Nameless {
  static constexpr std::string_view kName = "Talkative";
  explicit Talkative(PolicyInfo its_info = {}) : info(std::move(its_info)) {}
  PolicyInfo Info() const { return info; }
  PolicyInfo info;
};
// Its name is no constant, so that orders know nothing of it.
struct NamedLate : Nameless {
  static inline const std::string kName = "Fallback";
};

std::shared_ptr<LatencyQuantile> Latencies(std::string name = {}) {
  return std::make_shared<LatencyQuantile>(
      LatencyQuantile::Options{.quantile = 0.95, .name = std::move(name)});
}

TEST_CASE("a stack describes itself, outermost first") {
  const auto attempt = Stack(CircuitBreak({.name = "orders", .timeout = 30s}), Timeout(2s));
  CHECK(Described(Fallback(kAnswer), Timeout(10s), Retry({}), attempt) ==
        "Fallback > Timeout(10s) > Retry(4 attempts, backoff up to 700ms) > "
        "CircuitBreak(\"orders\", open 30s, 1 probe) > Timeout(2s)");
  CHECK(Stack().Describe().empty());
}

TEST_CASE("a policy says what it is set to, and the name of its object") {
  auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  auto budget = std::make_shared<RetryBudget>(RetryBudget::Options{.name = "shared"});

  CHECK(Described(Timeout(1500ms, pool)) == "Timeout(1.5s, abandons attempts)");
  CHECK(Described(AdaptiveTimeout({}, {.max = 2s})) == "AdaptiveTimeout(2 x p99, 10ms to 2s)");
  CHECK(Described(AdaptiveTimeout(Latencies("db"), {.multiplier = 1.5, .max = 2s})) ==
        "AdaptiveTimeout(\"db\", 1.5 x p95, 10ms to 2s)");

  CHECK(Described(Retry({.max_attempts = 1, .budget = RetryBudget::Unlimited()})) ==
        "Retry(1 attempt, backoff up to 0, no budget)");
  CHECK(Described(Retry({.budget = budget, .max_elapsed = 30s})) ==
        "Retry(4 attempts, backoff up to 700ms, within 30s, budget \"shared\")");
  CHECK(Described(Retry({}), NestedRetry({.max_attempts = 2})) ==
        "Retry(4 attempts, backoff up to 700ms) > Retry(2 attempts, backoff up to 100ms)");

  CHECK(Described(Hedge({.delay = 50ms})) == "Hedge(up to 1 more, after 50ms)");
  CHECK(Described(Hedge({.delay = 50ms, .max_hedges = 2})) ==
        "Hedge(up to 2 more, after 50ms each)");
  CHECK(Described(Hedge({.latencies = Latencies()})) == "Hedge(up to 1 more, after p95)");
  CHECK(Described(Hedge({.latencies = Latencies("db")})) ==
        "Hedge(up to 1 more, after p95 of \"db\")");

  CHECK(Described(CircuitBreak({.max_requests = 3,
                                .interval = 9s,
                                .bucket_period = 2s,
                                .open_time = BackoffOpenTime(Backoff())})) ==
        "CircuitBreak(window 10s, 3 probes)");
  CHECK(Described(CircuitBreak({.last_calls = 100, .timeout = 5s})) ==
        "CircuitBreak(last 100 calls, open 5s, 1 probe)");
  CHECK(Described(KeyedCircuitBreak({.breaker = {.interval = 10s}, .name = "hosts"})) ==
        "KeyedCircuitBreak(\"hosts\", up to 10000 keys, window 10s, open 1m, 1 probe)");
  CHECK(Described(KeyedCircuitBreak(
            {.options_for = [](std::string_view) { return CircuitBreaker::Options{}; },
             .max_keys = 1})) == "KeyedCircuitBreak(up to 1 key)");

  CHECK(Described(Bulkhead({.limit = 32})) == "Bulkhead(32 at once)");
  CHECK(Described(Bulkhead({.limit = 32, .name = "db"}, {.max_wait = 2s, .max_queue = 5})) ==
        "Bulkhead(\"db\", 32 at once, queue of 5, waits up to 2s)");
  CHECK(Described(Pace({.rate = kInfiniteRate, .name = "mail"}, {.max_wait = 0s})) ==
        "Pace(\"mail\", any rate, slack 10, never waits)");
}

TEST_CASE("a rate limit says which buckets it has") {
  const auto bucket = [](std::string name, double rate) {
    return std::make_shared<TokenBucket>(
        TokenBucket::Options{.rate = rate, .burst = 20, .name = std::move(name)});
  };
  const auto slow = bucket("a", 0.5);
  const auto fast = bucket("b", 100);
  CHECK(Described(RateLimit(slow)) == "RateLimit(\"a\", 0.5/s, burst 20, waits up to 1s)");
  CHECK(Described(RateLimit(slow, {.max_wait = 2s, .dry_run = true})) ==
        "RateLimit(\"a\", 0.5/s, burst 20, waits up to 2s, dry run)");
  const std::string both =
      "RateLimit(\"a\", 0.5/s, burst 20 and \"b\", 100/s, burst 20, waits up to 1s)";
  CHECK(Described(RateLimit(slow, fast)) == both);
  CHECK(Described(RateLimit(fast, slow)) == both);
  slow->SetRate(kInfiniteRate);
  CHECK(Described(RateLimit(slow)) == "RateLimit(\"a\", any rate, burst 20, waits up to 1s)");
  CHECK(Described(KeyedRateLimit({.limits = {.rate = 1}, .name = "users"})) ==
        "KeyedRateLimit(\"users\", up to 100000 keys, waits up to 1s)");
}

TEST_CASE("a policy of one's own says what it likes to") {
  CHECK(Described(Nameless(), Named(), NamedLate(), Talkative({.settings = "3 a user"}),
                  Talkative()) == "policy > Named > Fallback > Talkative(3 a user) > Talkative");
}

// Refused with a sentence that contains `why`.
template <class... Parts>
void CheckRefused(const std::string& why, Parts... parts) {
  const absl::Status status = Validate(Stack(std::move(parts)...));
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), ContainsSubstring(why));
}
template <class... Parts>
void CheckTaken(Parts... parts) {
  CHECK(Validate(Stack(std::move(parts)...)) == absl::OkStatus());
}

TEST_CASE("all attempts of a retry, and what is between them, fit the timeout around it") {
  const auto retry = Retry({});  // 4 attempts, 100ms + 200ms + 400ms between them
  CheckTaken(Timeout(8700ms), retry, Timeout(2s));
  CheckRefused(
      "Stack: Retry(4 attempts, backoff up to 700ms) may take 8.7s with 2s for each attempt, more "
      "than the Timeout(8.699999999s) around it",
      Timeout(8700ms - 1ns), retry, Timeout(2s));

  // Of those around it the tightest timeout counts, of those inside the first.
  CheckTaken(Timeout(10s), Timeout(20s), retry, Timeout(2s), Timeout(9s));
  CheckRefused("Timeout(1s)", Timeout(1s), Timeout(10s), retry, Timeout(2s));
  CheckRefused("Timeout(5s)", Timeout(10s), Timeout(5s), retry, Timeout(2s));
  CheckRefused("3s for each", Timeout(10s), retry, Timeout(3s), Timeout(2s));
  CheckTaken(AdaptiveTimeout({}, {.max = 10s}), retry, AdaptiveTimeout({}, {.max = 2s}));
  CheckRefused("AdaptiveTimeout(", AdaptiveTimeout({}, {.max = 8s}), retry, Timeout(2s));
  CheckRefused("3s for each", Timeout(10s), retry, AdaptiveTimeout({}, {.max = 3s}));

  // What is unknown refuses nothing.
  CheckTaken(Timeout(1s), retry);
  CheckTaken(retry, Timeout(1h));
  CheckTaken(Timeout(1s), retry, RateLimit(kOneASecond), Bulkhead({.limit = 1}));
  CheckTaken(Timeout(8700ms), retry, RateLimit(kOneASecond), Timeout(2s));
  CheckTaken();
}

TEST_CASE("max_elapsed ends a retry before its attempts do") {
  const auto retry = Retry({.max_attempts = 1000, .max_elapsed = 7s});
  CheckTaken(Timeout(9s), retry, Timeout(2s));
  CheckRefused("may take 9s", Timeout(9s - 1ns), retry, Timeout(2s));
}

TEST_CASE("an attempt is shorter than the timeout around its retry") {
  CheckTaken(Timeout(3s), Retry({.max_attempts = 2, .max_elapsed = 1s}), Timeout(2s));
  CheckRefused(
      "Stack: an attempt of Retry(2 attempts, backoff up to 100ms, within 0) may take 2s, which "
      "leaves nothing of the Timeout(2s) around it for another",
      Timeout(2s), Retry({.max_attempts = 2, .max_elapsed = 0s}), Timeout(2s));
  CheckRefused("an attempt of Retry", Timeout(2s), Retry({}), Timeout(1h));
  // Without a retry it makes no difference.
  CheckTaken(Timeout(2s), Retry({.max_attempts = 1}), Timeout(2s));
  CheckTaken(Timeout(2s), Timeout(3s));
}

TEST_CASE("an attempt takes as long as the retries and hedges in it") {
  const auto none = Backoff::Constant(0s);
  const auto outer = Retry({.max_attempts = 3, .backoff = none});
  const auto inner = NestedRetry({.max_attempts = 2, .backoff = none});
  CheckTaken(Timeout(6s), outer, inner, Timeout(1s));
  CheckRefused("2s for each", Timeout(6s - 1ns), outer, inner, Timeout(1s));

  const auto hedge = Hedge({.delay = 250ms, .max_hedges = 2});
  CheckTaken(Timeout(4500ms), outer, hedge, Timeout(1s));
  CheckRefused("1.5s for each", Timeout(4500ms - 1ns), outer, hedge, Timeout(1s));
  CheckTaken(Timeout(3s), outer, Timeout(1s), hedge, Timeout(1s));
}

TEST_CASE("the longest delays count, whatever the jitter") {
  const auto check = [](const Backoff& backoff, int attempts, Duration all) {
    const auto retry = Retry({.max_attempts = attempts, .backoff = backoff});
    CheckTaken(Timeout(all + attempts * 1ms), retry, Timeout(1ms));
    CheckRefused("Retry", Timeout(all + attempts * 1ms - 1ns), retry, Timeout(1ms));
  };
  const auto exponential = [](Jitter jitter) {
    return Backoff::Exponential({.initial = 1s, .max = 5s, .jitter = jitter});
  };
  check(exponential(Jitter::kNone), 5, 12s);
  check(exponential(Jitter::kFull), 5, 12s);
  check(exponential(Jitter::kEqual), 5, 12s);
  check(exponential(Jitter::kDecorrelated), 4, 13s);
  check(Backoff::Linear(1s, 3s), 6, 12s);
  check(Backoff::Constant(1s), 1'000'001, 1'000'000s);

  // All saturates.
  const int most = std::numeric_limits<int>::max();
  const auto endless = Retry({.max_attempts = most, .backoff = Backoff::Constant(kForever)});
  CheckRefused("Retry", Timeout(kForever - 1ns), endless, Timeout(1s));
  CheckRefused("Retry", Timeout(kForever - 1ns),
               Retry({.max_attempts = most, .backoff = Backoff::Constant(0s)}), Timeout(200h));
  CheckRefused("Hedge", Timeout(kForever - 1ns), Hedge({.delay = kForever / 2, .max_hedges = 3}));
  CheckTaken(Timeout(1h), Retry({.max_attempts = most, .max_elapsed = 50min}), Timeout(10min));
}

TEST_CASE("hedges are sent before the timeout around them is over") {
  const auto hedge = Hedge({.delay = 500ms, .max_hedges = 4});
  CheckTaken(Timeout(2s + 1ns), hedge);
  CheckRefused(
      "Stack: Hedge(up to 4 more, after 500ms each) sends its last hedge after 2s, when the "
      "Timeout(2s) around it is over",
      Timeout(2s), hedge);
  CheckTaken(Hedge({.delay = kForever}));
  CheckTaken(hedge, Timeout(1ms));
  CheckTaken(Timeout(1s), Hedge({.delay = 2s, .latencies = Latencies()}));
}

TEST_CASE("no policy waits longer than the timeout around it") {
  const auto check = [](const auto& policy) {
    CheckTaken(Timeout(2s), policy);
    CheckRefused("waits longer than the Timeout(1.999999999s) around it", Timeout(2s - 1ns),
                 policy);
    CheckRefused("Timeout(1s)", Timeout(10s), Retry({}), Timeout(1s), policy);
    CheckTaken(policy, Timeout(1s));
  };
  check(RateLimit(kOneASecond, {.max_wait = 2s}));
  check(KeyedRateLimit({.limits = {.rate = 1}}, {.max_wait = 2s}));
  check(Pace({.rate = 1}, {.max_wait = 2s}));
  check(Bulkhead({.limit = 1}, {.max_wait = 2s}));
  // These do not wait at all, or as long as they may.
  CheckTaken(Timeout(1s), RateLimit(kOneASecond, {.max_wait = 2s, .dry_run = true}));
  CheckTaken(Timeout(1s), RateLimit(kOneASecond), Bulkhead({.limit = 1}), Pace({.rate = 1}));
}

TEST_CASE("a breaker's window is twice as long as a call below it") {
  CheckTaken(CircuitBreak({.interval = 4s}), Timeout(2s));
  CheckRefused(
      "Stack: CircuitBreak(\"orders\", window 3.999999999s, open 1m, 1 probe) counts in a window "
      "of 3.999999999s, less than twice the 2s that a call below it may take",
      CircuitBreak({.name = "orders", .interval = 4s - 1ns}), Timeout(2s));
  CheckRefused("KeyedCircuitBreak", KeyedCircuitBreak({.breaker = {.interval = 3s}}), Timeout(2s));

  // A call is cut off by the timeout around the breaker as well.
  CheckTaken(Timeout(2s), CircuitBreak({.interval = 4s}), Timeout(3s));
  CheckRefused("twice the 2s", Timeout(2s), CircuitBreak({.interval = 3s}), Timeout(3s));

  // Whole periods of a rolling one.
  CheckTaken(CircuitBreak({.interval = 3s, .bucket_period = 2s}), Timeout(2s));
  CheckRefused("window of 3s", CircuitBreak({.interval = 3s, .bucket_period = 1s}), Timeout(2s));

  // Retries inside of it are a part of the call.
  const auto retry = Retry({.max_attempts = 2, .backoff = Backoff::Constant(0s)});
  CheckTaken(CircuitBreak({.interval = 4s}), retry, Timeout(1s));
  CheckRefused("twice the 2s", CircuitBreak({.interval = 3s}), retry, Timeout(1s));

  // No such window, or no such timeout.
  CheckTaken(CircuitBreak(CircuitBreaker::Options{}), Timeout(2s));
  CheckTaken(CircuitBreak({.last_calls = 10}), Timeout(2s));
  CheckTaken(Timeout(2s), CircuitBreak({.interval = 1s}));
  CheckTaken(KeyedCircuitBreak(
                 {.options_for =
                      [](std::string_view) { return CircuitBreaker::Options{.interval = 1s}; }}),
             Timeout(2s));
}

TEST_CASE("a half-open breaker's probes fit the bulkheads inside of it") {
  const auto breaker = CircuitBreak({.max_requests = 3});
  const Timeout all(1s);
  CheckTaken(all, breaker, Bulkhead({.limit = 3}));
  CheckRefused(
      "Stack: CircuitBreak(open 1m, 3 probes) sends 3 probes at once, more than the Bulkhead(2 at "
      "once) inside of it lets through",
      all, breaker, Bulkhead({.limit = 2}));
  CheckRefused("Bulkhead(\"small\"", all, breaker, Bulkhead({.limit = 5}), Nameless(),
               Bulkhead({.limit = 2, .name = "small"}));
  CheckRefused("KeyedCircuitBreak", all, KeyedCircuitBreak({.breaker = {.max_requests = 2}}),
               Bulkhead({.limit = 1}));
  CheckTaken(all, Bulkhead({.limit = 1}), breaker);

  const auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 3});
  const auto stack = Stack(all, breaker, Bulkhead(semaphore));
  CHECK(Validate(stack).ok());
  semaphore->SetLimit(2);
  CHECK_FALSE(Validate(stack).ok());
}

TEST_CASE("a breaker's probes are not cut off by the time of other probes") {
  const auto breaker = CircuitBreak({.max_requests = 7});
  CheckTaken(breaker, AdaptiveTimeout({.min_samples = 7}));
  CheckTaken(CircuitBreak({}), AdaptiveTimeout({.min_samples = 1}));
  CheckTaken(breaker, AdaptiveTimeout(LatencyQuantile::Options{}));
  CheckTaken(AdaptiveTimeout({.min_samples = 1}), breaker);
  CheckRefused(
      "Stack: CircuitBreak(open 1m, 7 probes) closes after 7 probes, and the AdaptiveTimeout(2 x "
      "p99, 10ms to 10s) inside of it may cut them off by the time of 6 calls",
      breaker, AdaptiveTimeout({.min_samples = 6}));
  CheckRefused("KeyedCircuitBreak", KeyedCircuitBreak({.breaker = {.max_requests = 2}}), Nameless(),
               AdaptiveTimeout({.min_samples = 1}));

  const auto latencies = std::make_shared<LatencyQuantile>(LatencyQuantile::Options{});
  const auto stack = Stack(breaker, AdaptiveTimeout(latencies));
  CHECK(Validate(stack).ok());
  CHECK_FALSE(UpdateAll(stack, Change(latencies, {.min_samples = 1})).ok());
  CHECK(latencies->Update({.min_samples = 1}).ok());
  CHECK_FALSE(Validate(stack).ok());
}

TEST_CASE("no policy may keep a call waiting for ever") {
  const std::string forever = "may keep a call waiting for ever";
  CheckRefused(forever, RateLimit(kOneASecond, {.max_wait = Duration::max()}));
  CheckTaken(RateLimit(kOneASecond));
  CheckRefused(forever, Bulkhead({.limit = 1}, {.max_wait = Duration::max()}), Timeout(1s));
  CheckRefused(forever, Pace({.rate = 1}, {.max_wait = Duration::max()}));
  CheckRefused(forever, AdaptiveLimit({}, {.max_wait = Duration::max()}));
  CheckTaken(AdaptiveTimeout({}), RateLimit(kOneASecond));
  CheckTaken(RateLimit(kOneASecond, {.dry_run = true}));
  CheckTaken(Bulkhead({.limit = 1}), AdaptiveLimit({}), Timeout(100ms));  // bounded by default
}

TEST_CASE("a probe's lease is as long as a call below its breaker") {
  CheckTaken(CircuitBreak({.probe_lease = 2s}), Timeout(2s));
  CheckRefused("gives a probe 1.999999999s, less than the 2s that a call below it may take",
               CircuitBreak({.probe_lease = 2s - 1ns}), Timeout(2s));
  CheckRefused("gives a probe 1s", KeyedCircuitBreak({.breaker = {.probe_lease = 1s}}),
               Timeout(2s));
  CheckTaken(Timeout(1s), CircuitBreak({.probe_lease = 1s}), Timeout(2s));
  CheckTaken(CircuitBreak({.probe_lease = 1s}));
}

TEST_CASE("a retry waits for no breaker that is open as long as the call may take") {
  const auto waiting = Retry({.max_attempts = 2, .wait_for_refusals = true});
  CheckTaken(Timeout(10s), waiting, CircuitBreak({.timeout = 9s}), Timeout(2s));
  CheckRefused(
      "waits for CircuitBreak(open 10s, 1 probe), which may be open for as long as the "
      "Timeout(10s) around them",
      Timeout(10s), waiting, CircuitBreak({.timeout = 10s}), Timeout(2s));
  CheckTaken(Timeout(10s), Retry({.max_attempts = 2}), CircuitBreak({.timeout = 10s}), Timeout(2s));
  CheckRefused("may wait for ever", waiting, CircuitBreak({.timeout = 10s}), Timeout(2s));
}

TEST_CASE("what a policy of one's own tells counts as any other's") {
  CheckRefused("Talkative waits longer than the Timeout(1s)", Timeout(1s),
               Talkative({.max_wait = 2s}));
  CheckRefused("Talkative(my timeout) around it",
               Talkative({.settings = "my timeout", .timeout = 1s}), Retry({}), Timeout(1s));
  CheckTaken(Timeout(1s), Talkative(), Nameless());
}

TEST_CASE("the stacks of the README fit") {
  const auto attempt = Stack(CircuitBreak({.name = "orders", .timeout = 30s}),
                             RateLimit(kOneASecond), Bulkhead({.limit = 32}), Timeout(2s));
  CheckTaken(Timeout(10s), Retry({}), attempt);
  CheckTaken(Timeout(10s), Retry({.max_attempts = 4}), CircuitBreak({.name = "api"}),
             RateLimit({.rate = 100, .burst = 20}), Timeout(2s));
  CheckTaken(Timeout(10s), Retry({}), Hedge({.delay = 50ms}), Timeout(2s));
}

TEST_CASE("what does not depend on order compiles in any") {
  CheckTaken(CircuitBreak(CircuitBreaker::Options{}), Retry({}));  // it counts calls
  CheckTaken(Fallback(kAnswer), Fallback(kAnswer), Retry({}), Hedge({}));
  CheckTaken(Timeout(1s), Fallback(kAnswer), AdaptiveTimeout({}), Fallback(kAnswer));
  CheckTaken(Hedge({}), Retry({}));
  CheckTaken(NestedRetry({}),
             NestedRetry({}, [](const Call&, const absl::Status&) { return true; }));
  CheckTaken(Retry({}), NamedLate(), Nameless());
}

TEST_CASE("attempts of a retry in a retry multiply") {
  int runs = 0;
  const Backoff none = Backoff::Constant(0s);
  const auto call = Stack(Retry({.max_attempts = 3, .backoff = none}),
                          NestedRetry({.max_attempts = 2, .backoff = none}))
                        .Around([&] { return ++runs, absl::UnavailableError("down"); });
  CHECK_FALSE(call().ok());
  CHECK(runs == 6);
}

}  // namespace
}  // namespace holdfast::stack_order_test
