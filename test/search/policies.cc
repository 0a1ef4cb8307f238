#include "test/search/policies.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "holdfast/holdfast.h"

namespace holdfast::search {
namespace {

using namespace std::chrono_literals;

Duration Times(Duration d, double factor) {
  return Duration(static_cast<Duration::rep>(static_cast<double>(d.count()) * factor));
}

// Null, or what says it where a null budget means one of its own.
template <class Budget = RetryBudget>
std::shared_ptr<Budget> NoBudget() {
  if constexpr (requires { Budget::Unlimited(); }) {
    return Budget::Unlimited();
  } else {
    return nullptr;
  }
}

template <class Budget = RetryBudget>
std::string_view NoBudgetCode() {
  if constexpr (requires { Budget::Unlimited(); }) {
    return "holdfast::RetryBudget::Unlimited()";
  } else {
    return "nullptr";
  }
}

void FillBackoff(Fields& f, Backoff::Options& o) {
  f.Time("initial", o.initial, 1ms, 5s, 0.6);
  f.Time("max", o.max, std::max<Duration>(o.initial, 10ms), 60s, o.initial > o.max ? 1 : 0.3);
  f.Number("multiplier", o.multiplier, 1, 4, 0.2);
  f.Pick("jitter", o.jitter,
         {{Jitter::kNone, "holdfast::Jitter::kNone"},
          {Jitter::kFull, "holdfast::Jitter::kFull"},
          {Jitter::kEqual, "holdfast::Jitter::kEqual"},
          {Jitter::kDecorrelated, "holdfast::Jitter::kDecorrelated"}},
         0.3);
}

template <class Options>
Memory FillBudget(Fields& f, Options& o) {
  bool none = false;
  f.Pick("budget", none, {{true, NoBudgetCode()}}, 0.03);
  if (none) {
    o.budget = NoBudget();
    return {.unbudgeted = true};
  }
  RetryBudget::Options budget;
  if (f.In(".budget = std::make_shared<holdfast::RetryBudget>(holdfast::RetryBudget::Options{",
           0.3)) {
    f.Count("capacity", budget.capacity, 1, 1000, 0.7);
    f.Number("per_success", budget.per_success, 0.01, 1, 0.5);
    f.Out();
    o.budget = std::make_shared<RetryBudget>(budget);
  }
  return {.budget = budget};
}

// The options of its refusals, for a tree in which a Retry may wait for what refused it.
template <class Options>
void FillWaits(Fields& f, Options& o) {
  if constexpr (requires { o.wait_for_refusals; }) {
    f.Pick("wait_for_refusals", o.wait_for_refusals, {{true, "true"}}, 0.3);
  }
}

Part MakeRetry(Fields& f, const Surroundings&) {
  RetryOptions o;
  f.Open("{");
  f.Count("max_attempts", o.max_attempts, 2, 10, 0.6);
  if (f.In(".backoff = holdfast::Backoff::Exponential({", 0.5)) {
    Backoff::Options backoff;
    FillBackoff(f, backoff);
    f.Out();
    o.backoff = Backoff::Exponential(backoff);
  }
  Memory memory = FillBudget(f, o);
  f.Time("max_elapsed", o.max_elapsed, 100ms, 60s, 0.25);
  FillWaits(f, o);
  f.Out();
  return Part(Retry(std::move(o)), std::move(memory));
}

Part MakeTimeout(Fields& f, const Surroundings& around) {
  Duration limit{0};
  f.Time("", limit, std::max<Duration>(Times(around.service, 4), 20ms), 30s, Fields::kRequired);
  return Part(Timeout(limit));
}

// Of an attempt: there is to be time for more than one.
void FillAttempt(Fields& f, const Surroundings& around, Duration& limit) {
  f.Time("", limit, Times(around.service, 3), std::min<Duration>(Times(around.service, 100), 10s),
         Fields::kRequired);
}

Part MakeAttemptTimeout(Fields& f, const Surroundings& around) {
  Duration limit{0};
  FillAttempt(f, around, limit);
  return Part(Timeout(limit));
}

Part MakeWalkingTimeout(Fields& f, const Surroundings& around) {
  Duration limit{0};
  FillAttempt(f, around, limit);
  static const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  return Part(Timeout(limit, pool));
}

LatencyQuantile::Options FillQuantile(Fields& f) {
  LatencyQuantile::Options o;
  f.Number("quantile", o.quantile, 0.5, 1, 0.5);
  f.Time("window", o.window, 1s, 120s, 0.4);
  f.Count("min_samples", o.min_samples, 1, 100, 0.3);
  return o;
}

Part MakeAdaptiveTimeout(Fields& f, const Surroundings& around) {
  f.Open("{");
  const LatencyQuantile::Options latencies = FillQuantile(f);
  f.Out();
  AdaptiveTimeoutOptions o;
  f.Open(" {");
  f.Number("multiplier", o.multiplier, 1, 5, 0.4);
  f.Time("min", o.min, 1ms, 100ms, 0.2);
  f.Time("max", o.max, std::max<Duration>(Times(around.service, 10), o.min), 30s, 0.5);
  f.Out();
  return Part(AdaptiveTimeout(latencies, o));
}

Part MakeHedge(Fields& f, const Surroundings& around) {
  HedgeOptions o;
  f.Open("{");
  f.Time("delay", o.delay, Times(around.service, 0.5), Times(around.service, 10), 0.8);
  if (f.In(".latencies = std::make_shared<holdfast::LatencyQuantile>("
           "holdfast::LatencyQuantile::Options{",
           0.4)) {
    o.latencies = std::make_shared<LatencyQuantile>(FillQuantile(f));
    f.Out();
  }
  f.Count("max_hedges", o.max_hedges, 1, 4, 0.3);
  Memory memory = FillBudget(f, o);
  f.Out();
  return Part(Hedge(std::move(o), HedgeAll()), std::move(memory));
}

void FillRamp(Fields& f, CircuitBreaker::Options& o) {
  using Ramp = std::vector<double>;
  f.Pick("ramp", o.ramp,
         {{Ramp{0.5}, "{0.5}"},
          {Ramp{0.1, 0.5}, "{0.1, 0.5}"},
          {Ramp{0.01, 0.05, 0.25}, "{0.01, 0.05, 0.25}"}},
         0.2);
  if (!o.ramp.empty()) f.Time("ramp_step", o.ramp_step, 50ms, 10s, 0.8);
}

void FillRules(Fields& f, CircuitBreaker::Options& o) {
  if (f.In(".rules = {holdfast::ConsecutiveFailures(", 0.3)) {
    std::int64_t failures = 0;
    f.Count("", failures, 1, 30, Fields::kRequired);
    f.Out();
    o.rules = {ConsecutiveFailures(static_cast<std::uint64_t>(failures))};
  } else if (f.In(".rules = {holdfast::FailureRate(", 0.5)) {
    double share = 0;
    std::int64_t minimum = 0;
    f.Number("", share, 0.05, 1, Fields::kRequired);
    f.Count("", minimum, 1, 100, Fields::kRequired);
    f.Out();
    o.rules = {FailureRate(share, static_cast<std::uint64_t>(minimum))};
  } else if (f.In(".rules = {holdfast::SlowCallRate(", 0.15)) {
    double share = 0;
    std::int64_t minimum = 0;
    f.Number("", share, 0.1, 1, Fields::kRequired);
    f.Count("", minimum, 1, 100, Fields::kRequired);
    f.Out();
    o.rules = {SlowCallRate(share, static_cast<std::uint64_t>(minimum))};
  }
}

void FillBreaker(Fields& f, const Surroundings& around, CircuitBreaker::Options& o) {
  f.Count("max_requests", o.max_requests, 1, 10, 0.3);
  f.Time("interval", o.interval, 500ms, 60s, 0.5);
  if (o.interval > 0s) f.Time("bucket_period", o.bucket_period, o.interval / 20, o.interval, 0.8);
  if (o.interval == 0s) f.Count("last_calls", o.last_calls, 5, 200, 0.4);
  f.Time("timeout", o.timeout, 50ms, 60s, 0.9);
  if (f.In(".open_time = holdfast::BackoffOpenTime(holdfast::Backoff::Exponential({", 0.2)) {
    Backoff::Options backoff;
    FillBackoff(f, backoff);
    f.Out();
    o.open_time = BackoffOpenTime(Backoff::Exponential(backoff), around.seed);
  }
  f.Time("probe_lease", o.probe_lease, 50ms, 60s, 0.15);
  FillRamp(f, o);
  FillRules(f, o);
  const bool needs_slow = !o.rules.empty() && o.rules.front().needs_slow_call;
  f.Time("slow_call", o.slow_call, Times(around.service, 3), Times(around.service, 50),
         needs_slow ? 1 : 0.1);
}

Part MakeCircuitBreak(Fields& f, const Surroundings& around) {
  CircuitBreaker::Options o;
  f.Open("{");
  FillBreaker(f, around, o);
  f.Out();
  Memory memory{.breaker = o};
  return Part(CircuitBreak(std::move(o)), std::move(memory));
}

Part MakeKeyedCircuitBreak(Fields& f, const Surroundings& around) {
  KeyedCircuitBreaker::Options o;
  f.Open("{");
  f.Open(".breaker = {");
  FillBreaker(f, around, o.breaker);
  f.Out();
  f.Count("max_keys", o.max_keys, 1, 100, 0.2);
  f.Pick("when_full", o.when_full,
         {{KeyedCircuitBreaker::WhenFull::kRefuse,
           "holdfast::KeyedCircuitBreaker::WhenFull::kRefuse"}},
         0.1);
  f.Out();
  Memory memory{.breaker = o.breaker};
  return Part(KeyedCircuitBreak(std::move(o)), std::move(memory));
}

RateLimitOptions FillRateLimit(Fields& f) {
  RateLimitOptions o;
  f.Open(" {");
  f.Time("max_wait", o.max_wait, 1ms, 10s, 0.5);
  f.Out();
  return o;
}

Part MakeRateLimit(Fields& f, const Surroundings& around) {
  TokenBucket::Options o;
  f.Open("{");
  f.Number("rate", o.rate, around.rate * 1.2, around.rate * 6, Fields::kRequired);
  f.Count("burst", o.burst, 1, std::max(10.0, around.rate), Fields::kRequired);
  f.Out();
  return Part(RateLimit(o, FillRateLimit(f)));
}

Part MakeKeyedRateLimit(Fields& f, const Surroundings& around) {
  KeyedTokenBucket::Options o;
  f.Open("{");
  f.Open(".limits = {");
  f.Number("rate", o.limits.rate, around.rate * 1.2, around.rate * 6, Fields::kRequired);
  f.Count("burst", o.limits.burst, 1, std::max(10.0, around.rate), Fields::kRequired);
  f.Out();
  f.Out();
  KeyedRateLimitOptions limit;
  limit.max_wait = FillRateLimit(f).max_wait;
  return Part(KeyedRateLimit(o, limit));
}

Part MakePace(Fields& f, const Surroundings& around) {
  Pacer::Options o;
  f.Open("{");
  f.Number("rate", o.rate, around.rate * 1.2, around.rate * 6, Fields::kRequired);
  f.Count("slack", o.slack, 0, 50, 0.5);
  f.Out();
  PaceOptions pace;
  f.Open(" {");
  f.Time("max_wait", pace.max_wait, 1ms, 10s, 0.5);
  f.Out();
  return Part(Pace(o, pace));
}

BulkheadOptions FillQueue(Fields& f, const Surroundings& around) {
  BulkheadOptions o;
  f.Open(" {");
  f.Time("max_wait", o.max_wait, 1ms, 10s, 0.3);
  f.Count("max_queue", o.max_queue, 0, 500, 0.4);
  f.Pick("order", o.order, {{QueueOrder::kNewestFirst, "holdfast::QueueOrder::kNewestFirst"}}, 0.2);
  if (f.In(".controlled_delay = holdfast::ControlledDelay{", 0.2)) {
    o.controlled_delay.emplace();
    f.Time("target", o.controlled_delay->target, 1ms, std::max<Duration>(around.service, 2ms), 0.4);
    f.Time("interval", o.controlled_delay->interval, 10ms, 1s, 0.4);
    f.Out();
  }
  f.Out();
  return o;
}

// How many calls are under way at once, on average.
double InService(const Surroundings& around) {
  return around.rate * static_cast<double>(around.service.count()) * 1e-9;
}

Part MakeBulkhead(Fields& f, const Surroundings& around) {
  Semaphore::Options o;
  f.Open("{");
  const double least = std::max(1.0, 1.5 * InService(around));
  f.Count("limit", o.limit, least, 20 * least, Fields::kRequired);
  f.Out();
  return Part(Bulkhead(o, FillQueue(f, around)));
}

LimitAlgorithm FillAlgorithm(Fields& f) {
  if (f.In(".algorithm = holdfast::Aimd{", 0.3)) {
    Aimd aimd;
    f.Number("backoff_ratio", aimd.backoff_ratio, 0.5, 0.99, 0.3);
    f.Time("timeout", aimd.timeout, 50ms, 10s, 0.3);
    f.Out();
    return aimd;
  }
  if (f.In(".algorithm = holdfast::Gradient2{", 0.4)) {
    Gradient2 gradient;
    f.Number("smoothing", gradient.smoothing, 0.05, 1, 0.3);
    f.Number("tolerance", gradient.tolerance, 1, 3, 0.3);
    f.Count("long_window", gradient.long_window, 10, 2000, 0.2);
    f.Out();
    return gradient;
  }
  return Vegas{};
}

Part MakeAdaptiveLimit(Fields& f, const Surroundings& around) {
  AdaptiveLimiter::Options o;
  f.Open("{");
  o.algorithm = FillAlgorithm(f);
  f.Count("initial", o.initial, 5, 100, 0.2);
  f.Count("minimum", o.minimum, 1, 30, 0.3);
  f.Count("maximum", o.maximum, std::max(30.0, 4 * InService(around)), 1000, 0.3);
  f.Count("queue_size", o.queue_size, 1, 20, 0.1);
  f.Time("window", o.window, 10ms, 2s, 0.3);
  f.Count("min_samples", o.min_samples, 1, 50, 0.3);
  f.Number("drop_share", o.drop_share, 0, 0.3, 0.2);
  f.Out();
  return Part(AdaptiveLimit(o, FillQueue(f, around)), {.limiter = o});
}

// How long a throttler takes to send all of `rate` calls per second again, but for one in forty;
// with times in windows. Of the n calls of a window it sends 1 + K A, where A were accepted in the
// last one, and no fewer than the share that it never refuses.
//
// On average. y = sends per window + 1 / (K - 1) is K times the integral of y over the last window,
// so it grows as e^xt with x = K (1 - e^-x). After a first window it has forgotten the fault, and
// has sent for one window what it does while nothing is accepted: y is at least `first`.
//
// By chance. Each call sent lets K more be sent in the window after it, at random: a Hawkes
// process. A call of age u has v(u) = K (1 - e^-x(1-u)) / x descendants to come, if each that comes
// t later counts e^-xt. The sum of v over the last window grows as e^xt, too, and is y D on
// average, where D = 1 - (K - 1) / x. Each call sent adds v(0) = 1 to it, so at the end of the
// growth its variance, in units of the square of its mean, is that of the calls sent:
//   r = integral of (first e^xt - 1 / (K - 1)) e^-2xt dt / (first D)^2
// Its logarithm is about normal, with the variance ln(1 + r): two deviations less are made up for
// in 2 sqrt(ln(1 + r)) / x. The fewer are sent at first, the less normal it is: if a dozen, one
// throttle in twenty takes longer; if one, one in eight.
Duration RecoveryOf(const AdaptiveThrottler::Options& o, double rate) {
  double x = 2 * o.k;
  for (int i = 0; i < 1000; ++i) x = o.k * (1 - std::exp(-x));
  const double one = 1 / (o.k - 1);
  const double calls = rate * static_cast<double>(o.window.count()) * 1e-9;
  const double first = std::max(calls * (1 - o.max_rejection), 1.0) + one;
  const double growth = std::max((calls + one) / first, 1.0);
  const double variance =
      first * (1 - 1 / growth) / x - one * (1 - 1 / (growth * growth)) / (2 * x);
  const double r = variance / std::pow(first * (1 - 1 / (one * x)), 2);
  const double windows = 1 + (std::log(growth) + 2 * std::sqrt(std::log1p(r))) / x;
  return Duration(
      static_cast<Duration::rep>(std::max(windows, 2.0) * static_cast<double>(o.window.count())));
}

Part MakeThrottle(Fields& f, const Surroundings& around) {
  AdaptiveThrottler::Options o;
  f.Open("{");
  f.Number("k", o.k, 1.05, 4, 0.6);
  f.Time("window", o.window, 2s, 120s, 0.8);
  f.Count("buckets", o.buckets, 1, 100, 0.2);
  f.Number("max_rejection", o.max_rejection, 0.3, 1, 0.3);
  f.Count("min_requests", o.min_requests, 1, 100, 0.3);
  o.seed = around.seed;
  f.Out();
  return Part(AdaptiveThrottle(o), {.throttle_recovery = RecoveryOf(o, around.rate)});
}

Part MakeCache(Fields& f, const Surroundings&) {
  ResultCache<absl::Status>::Options o;
  f.Open("holdfast::ResultCache<absl::Status>::Options{");
  f.Time("ttl", o.ttl, 10ms, 5s, Fields::kRequired);
  f.Time("negative_ttl", o.negative_ttl, 10ms, 5s, 0.3);
  f.Time("stale_while_revalidate", o.stale_while_revalidate, 10ms, 5s, 0.2);
  f.Time("stale_if_error", o.stale_if_error, 100ms, 10s, 0.2);
  f.Out();
  return Part(Cache<absl::Status>(o), {.negative_ttl = o.negative_ttl});
}

// Its answer counts as what it stands for: a failure.
Part MakeFallback(Fields&, const Surroundings&) {
  return Part(Fallback([](const absl::Status&) { return absl::NotFoundError("fallback"); }));
}

}  // namespace

const std::vector<Policy>& Policies() {
  static const std::vector<Policy> policies = {
      {"Fallback", MakeFallback, 0.05,
       "Fallback([](const absl::Status&) { return absl::NotFoundError(\"fallback\"); }"},
      {"Cache", MakeCache, 0.06, "Cache<absl::Status>("},
      {"KeyedRateLimit", MakeKeyedRateLimit, 0.08, "KeyedRateLimit("},
      {"Bulkhead", MakeBulkhead, 0.12, "Bulkhead("},
      {"Timeout", MakeTimeout, 0.7, "Timeout("},
      {"Retry", MakeRetry, 0.6, "Retry("},
      {"AdaptiveThrottle", MakeThrottle, 0.15, "AdaptiveThrottle("},
      {"CircuitBreak", MakeCircuitBreak, 0.45, "CircuitBreak("},
      {"KeyedCircuitBreak", MakeKeyedCircuitBreak, 0.12, "KeyedCircuitBreak("},
      {"RateLimit", MakeRateLimit, 0.15, "RateLimit("},
      {"Pace", MakePace, 0.05, "Pace("},
      {"Bulkhead", MakeBulkhead, 0.12, "Bulkhead("},
      {"AdaptiveLimit", MakeAdaptiveLimit, 0.2, "AdaptiveLimit("},
      {"Hedge", MakeHedge, 0.12, "Hedge("},
      {"AdaptiveTimeout", MakeAdaptiveTimeout, 0.12, "AdaptiveTimeout("},
      {"Timeout", MakeAttemptTimeout, 0.65, "Timeout("},
      {"Timeout", MakeWalkingTimeout, 0.06, "Timeout("},
  };
  return policies;
}

}  // namespace holdfast::search
