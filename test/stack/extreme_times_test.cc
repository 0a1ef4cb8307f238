#include <absl/random/random.h>
#include <absl/status/status.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

// Any duration is a duration, in every option and every method that takes a time: it is refused
// with a message that names it, or it is as long as it says. With UBSan nothing overflows on the
// way.

namespace holdfast::extreme_times_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using std::chrono::hours;
using testing::FakeClock;

constexpr Duration kYear = hours(24 * 365);
constexpr std::array<Duration, 15> kSpans = {Duration::min(),
                                             Duration::min() + 1ns,
                                             -100 * kYear,
                                             -1h,
                                             -1ns,
                                             0ns,
                                             1ns,
                                             2ns,
                                             1ms,
                                             1h,
                                             1 * kYear,
                                             100 * kYear,
                                             Duration::max() / 2,
                                             Duration::max() - 1ns,
                                             Duration::max()};

std::vector<TimePoint> Times() {
  std::vector<TimePoint> times;
  times.reserve(kSpans.size());
  for (const Duration span : kSpans) times.emplace_back(span);
  return times;
}

// Those that a clock may say: see Clock::Now.
std::vector<TimePoint> Starts() {
  std::vector<TimePoint> starts = Times();
  std::erase_if(starts, [](TimePoint time) {
    const Duration since = time.time_since_epoch();
    return since < -100 * kYear || since > 100 * kYear;
  });
  return starts;
}

// The times again and again in an order that depends on the seed.
std::vector<TimePoint> Shuffled(std::uint64_t seed) {
  testing::Random random(seed);
  std::vector<TimePoint> times;
  for (int i = 0; i < 40; ++i) {
    times.emplace_back(kSpans[static_cast<std::size_t>(random.Below(kSpans.size()))]);
  }
  return times;
}

TEST_CASE("a duration of any unit is held within what a Duration can say") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  using Years = std::chrono::duration<std::int64_t, std::ratio<31'556'952>>;
  using Picoseconds = std::chrono::duration<std::int64_t, std::pico>;
  using Seconds = std::chrono::duration<double>;
  STATIC_REQUIRE(TimeSpan(hours::max()) == Duration::max());
  STATIC_REQUIRE(TimeSpan(hours::min()) == Duration::min());
  CHECK(TimeSpan(Years::max()) == Duration::max());
  CHECK(TimeSpan(std::chrono::microseconds::max()) == Duration::max());
  CHECK(TimeSpan(std::chrono::duration<std::uint64_t, std::nano>::max()) == Duration::max());
  CHECK(TimeSpan(std::chrono::duration<std::int8_t>(-3)) == -3s);
  CHECK(TimeSpan(Years(292)) == 292 * 31'556'952s);
  CHECK(TimeSpan(Years(293)) == Duration::max());
  CHECK(TimeSpan(Picoseconds(1999)) == 1ns);
  CHECK(TimeSpan(Picoseconds::min()) == Duration(std::numeric_limits<std::int64_t>::min() / 1000));
  CHECK(TimeSpan(Seconds(0.25)) == 250ms);
  CHECK(TimeSpan(Seconds(1e300)) == Duration::max());
  CHECK(TimeSpan(Seconds(-kInfinity)) == Duration::min());
  CHECK(TimeSpan(Seconds(kInfinity)) == Duration::max());
  CHECK(TimeSpan(Seconds(std::nan(""))) == Duration::min());
  CHECK(TimeSpan(std::chrono::duration<float, std::ratio<3600>>(0.5F)) == 30min);
  for (const Duration span : kSpans) CHECK(TimeSpan(span) == span);
}

TEST_CASE("a time span is used as the duration that it is") {
  TimeSpan span = 2s;
  const Duration copy = span;
  CHECK(copy == 2s);
  CHECK(span + 1s == 3s);
  CHECK(span * 2 > 3s);
  CHECK(TimePoint{} + span == TimePoint(2s));
  CHECK(std::chrono::duration_cast<std::chrono::milliseconds>(span).count() == 2000);
  span = 5min;
  CHECK(span == 300s);
  span += 1s;
  CHECK(span == 301s);
  CHECK(TimeSpan{} == 0s);
}

TEST_CASE("sums of times and durations are held likewise") {
  CHECK(SaturatingAdd(TimePoint(1s), hours::max()) == TimePoint::max());
  CHECK(SaturatingAdd(TimePoint(-1s), hours::min()) == TimePoint::min());
  CHECK(SaturatingAdd(Duration::max() - 1ns, hours(1)) == Duration::max());
  CHECK(SaturatingAdd(1s, -2s) == -1s);
  CHECK(SaturatingMul(hours::max(), 2) == Duration::max());
  CHECK(SaturatingMul(hours::max(), -2) == Duration::min());
}

// Calls that fail at once are tried again no sooner than `wait` after each other, whenever it is.
// How often they were.
template <class Policy>
int CheckWaits(const Policy& policy, Duration wait, TimePoint start) {
  FakeClock clock(start);
  std::vector<TimePoint> attempts;
  (void)Stack(policy).Around(
      [&] {
        attempts.push_back(clock.Now());
        return absl::UnavailableError("down");
      },
      &clock)();
  for (std::size_t i = 1; i < attempts.size(); ++i) {
    CHECK(attempts[i] >= SaturatingAdd(attempts[i - 1], std::max(wait, Duration::zero())));
  }
  // Never is never: not even at the end of time.
  if (SaturatingAdd(start, wait) == TimePoint::max()) CHECK(attempts.size() == 1);
  return static_cast<int>(attempts.size());
}

RetryOptions Options(Backoff backoff = {}) {
  return {.max_attempts = 3, .backoff = std::move(backoff), .budget = nullptr};
}

TEST_CASE("a check that says to try again for ever later does not try again at once") {
  const auto again = [](const Call&, const absl::Status&) {
    return RetryDecision::AgainAfter(hours::max());
  };
  CHECK(CheckWaits(Retry(Options(), again), Duration::max(), TimePoint(1h)) == 1);
}

TEST_CASE("a retry waits as long as it was told, or is none") {
  for (const TimePoint start : Times()) {
    for (const Duration span : kSpans) {
      CAPTURE(start.time_since_epoch().count(), span.count());
      const auto again = [span](const Call&, const absl::Status&) {
        return RetryDecision::AgainAfter(span);
      };
      CheckWaits(Retry(Options(), again), span, start);
      CheckWaits(Retry(Options(Backoff::Custom([span](int) { return span; }))), span, start);
      if (span < Duration::zero()) {
        CHECK_THROWS_AS(Backoff::Constant(span), std::invalid_argument);
        CHECK_THROWS_AS(Backoff::Linear(span, Duration::max()), std::invalid_argument);
        continue;
      }
      CheckWaits(Retry(Options(Backoff::Constant(span))), span, start);
      CheckWaits(Retry(Options(Backoff::Linear(span, Duration::max()))), span, start);
    }
  }
}

TEST_CASE("a delay is within its bounds, whatever those are and how often it was asked for") {
  absl::InsecureBitGen gen;
  for (const Duration initial : kSpans) {
    for (const Duration max : kSpans) {
      for (const double multiplier : {1.0, 2.0, 1e300}) {
        for (const Jitter jitter :
             {Jitter::kNone, Jitter::kFull, Jitter::kEqual, Jitter::kDecorrelated}) {
          const Backoff::Options options{
              .initial = initial, .max = max, .multiplier = multiplier, .jitter = jitter};
          const absl::Status valid = Validate(options);
          CAPTURE(initial.count(), max.count(), valid.message());
          REQUIRE(valid.ok() == (initial >= Duration::zero() && max >= initial));
          if (!valid.ok()) continue;
          for (const int retry : {std::numeric_limits<int>::min(), 0, 1, 2, 64, 1'000'000,
                                  std::numeric_limits<int>::max()}) {
            const Duration delay = Backoff::Exponential(options).Delay(retry, gen);
            CHECK(delay >= Duration::zero());
            CHECK(delay <= max);
            if (jitter == Jitter::kNone) CHECK(delay >= initial);
          }
        }
      }
    }
  }
  CHECK(Backoff::Custom([](int) { return hours::max(); }).Delay(1, gen) == Duration::max());
}

// What a validator says of options of which one field is each span: fine, or a message with the
// field's name in it.
template <class Options, class Set>
void CheckField(Options options, std::string name, const Set& set, Duration least) {
  if (const auto arrow = name.find("->"); arrow != std::string::npos) name.replace(arrow, 2, ".");
  for (const Duration span : kSpans) {
    set(options, span);
    const absl::Status valid = Validate(options);
    CAPTURE(name, span.count(), valid.message());
    CHECK(valid.ok() == (span >= least));
    if (!valid.ok()) {
      CHECK(valid.code() == absl::StatusCode::kInvalidArgument);
      CHECK(valid.ToString().find(name) != std::string::npos);
    }
  }
  // As a program writes it.
  set(options, hours::max());
  CHECK(Validate(options).ok());
}

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): a field and its name
#define CHECK_FIELD(options, field, least) \
  CheckField(options, #field, [](auto& o, TimeSpan span) { o.field = span; }, least)

TEST_CASE("every option that is a time is long where it says so, or refused by name") {
  CHECK_FIELD(RetryOptions{}, max_elapsed, 0ns);
  CHECK_FIELD(RateLimitOptions{}, max_wait, 0ns);
  CHECK_FIELD(KeyedRateLimitOptions{}, max_wait, 0ns);
  CHECK_FIELD(PaceOptions{}, max_wait, 0ns);
  CHECK_FIELD(BulkheadOptions{}, max_wait, 0ns);
  CHECK_FIELD(BulkheadOptions{.controlled_delay = ControlledDelay{}}, controlled_delay->target,
              1ns);
  CHECK_FIELD(BulkheadOptions{.controlled_delay = ControlledDelay{}}, controlled_delay->interval,
              1ns);
  CHECK_FIELD(HedgeOptions{}, delay, 1ns);
  CHECK_FIELD(AdaptiveTimeoutOptions{.max = Duration::max()}, min, 1ns);
  CHECK_FIELD(AdaptiveTimeoutOptions{.min = 1ns}, max, 1ns);
  CHECK_FIELD(LatencyQuantile::Options{}, window, 1ns);
  CHECK_FIELD(AdaptiveThrottler::Options{}, window, 1ns);
  CHECK_FIELD(AdaptiveLimiter::Options{}, window, 1ns);
  CHECK_FIELD(Sometimes::Options{}, interval, 0ns);
  using Cache = ResultCache<absl::Status>::Options;
  CHECK_FIELD(Cache{}, ttl, 1ns);
  CHECK_FIELD(Cache{.ttl = 1s}, negative_ttl, 0ns);
  CHECK_FIELD(Cache{.ttl = 1s}, stale_while_revalidate, 0ns);
  CHECK_FIELD(Cache{.ttl = 1s}, stale_if_error, 0ns);
  CHECK_FIELD(CircuitBreaker::Options{}, interval, 0ns);
  CHECK_FIELD(CircuitBreaker::Options{}, timeout, 1ns);
  CHECK_FIELD(CircuitBreaker::Options{}, probe_lease, 0ns);
  CHECK_FIELD(CircuitBreaker::Options{.ramp = {0.5}}, ramp_step, 1ns);
  CHECK_FIELD(CircuitBreaker::Options{}, slow_call, 0ns);
  // Zero stands for a fixed window; of a rolling one there is a most that its buckets may be.
  CHECK_FIELD((CircuitBreaker::Options{.interval = 1ns}), bucket_period, 0ns);
  CHECK_FALSE(
      Validate(CircuitBreaker::Options{.interval = Duration::max(), .bucket_period = 1ns}).ok());
}

TEST_CASE("a timeout of any length is that long, or refused") {
  for (const Duration span : kSpans) {
    CAPTURE(span.count());
    if (span <= Duration::zero()) {
      CHECK_THROWS_AS(Timeout(span), std::invalid_argument);
      continue;
    }
    for (const TimePoint start : Times()) {
      FakeClock clock(start);
      TimePoint deadline;
      const absl::Status status = Stack(Timeout(span))
                                      .Around(
                                          [&](Call& call) {
                                            deadline = call.deadline();
                                            return absl::OkStatus();
                                          },
                                          &clock)();
      CHECK(status.ok());
      CHECK(deadline == SaturatingAdd(start, span));
    }
  }
  CHECK(Stack(Timeout(hours::max())).Around([] { return absl::OkStatus(); })().ok());
}

TEST_CASE("a deadline of any time is that time") {
  for (const TimePoint start : Starts()) {
    for (const TimePoint deadline : Times()) {
      CAPTURE(start.time_since_epoch().count(), deadline.time_since_epoch().count());
      FakeClock clock(start);
      const auto semaphore =
          std::make_shared<Semaphore>(Semaphore::Options{.limit = 1, .clock = &clock});
      const auto held = semaphore->TryAcquire();
      const WaitOptions wait{.deadline = deadline};
      if (deadline < TimePoint::max()) {
        CHECK(semaphore->Acquire(1, wait).status().code() == absl::StatusCode::kDeadlineExceeded);
        CHECK(clock.Now() == std::max(start, deadline));
      }
      FakeClock bucket_clock(start);
      TokenBucket bucket({.rate = 1, .burst = 1, .clock = &bucket_clock});
      CHECK(bucket.Allow());
      const absl::Status status = bucket.Wait(1, wait);
      CHECK(status.ok() == (SaturatingSub(deadline, start) >= 1s && start < TimePoint::max() - 1s));
      FakeClock pacer_clock(start);
      Pacer pacer({.rate = 1, .clock = &pacer_clock});
      (void)pacer.Take(wait);
      (void)pacer.Take(wait);
      CHECK(pacer_clock.Now() >= start);
    }
  }
}

TEST_CASE("a bucket takes any time and any wait") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const double rate = std::array{0.0, 1e-9, 0.3, 1.0, 1e9, kInfiniteRate}[seed % 6];
    TokenBucket bucket({.rate = rate, .burst = 5});
    KeyedTokenBucket keyed({.limits = {.rate = rate, .burst = 5}, .max_keys = 2});
    std::vector<Reservation> held;
    testing::Random random(seed);
    TimePoint latest = TimePoint::min();
    for (const TimePoint now : Shuffled(seed)) {
      CAPTURE(seed, now.time_since_epoch().count());
      const Duration wait = kSpans[static_cast<std::size_t>(random.Below(kSpans.size()))];
      const std::string key(1, static_cast<char>('a' + random.Below(4)));
      latest = std::max(latest, now);
      for (Reservation reservation :
           {bucket.ReserveAt(now, 3, wait), keyed.ReserveAt(now, key, 3, wait)}) {
        if (reservation.ok()) {
          CHECK(SaturatingSub(reservation.ready_at(), now) <= std::max(wait, Duration(0)));
          CHECK(reservation.DelayFrom(now) >= Duration::zero());
          held.push_back(std::move(reservation));
        }
      }
      (void)bucket.AllowAt(now);
      (void)keyed.AllowAt(now, key);
      CHECK(bucket.TokensAt(now) <= 5);
      if (random.Below(4) == 0) bucket.SetRateAt(now, rate);
      if (random.Below(4) == 0) bucket.SetBurstAt(now, 5);
      if (random.Below(4) == 0) keyed.SetLimitsAt(now, {.rate = rate, .burst = 5});
      if (random.Below(3) == 0 && !held.empty()) {
        held.back().CancelAt(now);
        held.pop_back();
      }
    }
  }
  CHECK(Every(hours::max()) > 0);
  CHECK(Every(hours::min()) == kInfiniteRate);
}

TEST_CASE("a pacer takes any time and any wait") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Pacer pacer({.rate = std::array{1e-9, 0.3, 1.0, 1e9, kInfiniteRate}[seed % 5],
                 .slack = std::array<std::int64_t, 2>{0, 1 << 30}[seed % 2]});
    testing::Random random(seed);
    for (const TimePoint now : Shuffled(seed)) {
      CAPTURE(seed, now.time_since_epoch().count());
      const Duration wait = kSpans[static_cast<std::size_t>(random.Below(kSpans.size()))];
      CHECK(pacer.TakeAt(now) >= now);
      const auto place = pacer.TryTakeAt(now, wait);
      if (place) {
        CHECK(*place >= now);
        CHECK(SaturatingSub(*place, now) <= std::max(wait, Duration(0)));
      }
    }
  }
}

// A breaker with one of its times at a span, which opens at its first failure.
CircuitBreaker::Options BreakerWith(int field, Duration span) {
  CircuitBreaker::Options options{.ramp = {0.5},
                                  .ready_to_trip = [](const BreakerCounts&) { return true; }};
  switch (field) {
    case 0:
      options.timeout = span;
      break;
    case 1:
      options.interval = span;
      break;
    case 2:
      options.probe_lease = span;
      break;
    case 3:
      options.ramp_step = span;
      break;
    case 4:
      options.slow_call = span;
      break;
    case 5:
      options.interval = Duration::max();
      options.bucket_period = span;
      break;
    default:
      options.open_time = [span](std::uint64_t) { return span; };
  }
  return options;
}

TEST_CASE("a breaker stays open as long as it was told, whenever that is") {
  for (const TimePoint start : Starts()) {
    for (const Duration span : kSpans) {
      for (const int field : {0, 6}) {
        const CircuitBreaker::Options options = BreakerWith(field, span);
        if (!Validate(options).ok()) continue;
        CAPTURE(start.time_since_epoch().count(), span.count(), field);
        CircuitBreaker breaker(options);
        breaker.AdmitAt(start)->DoneAt(start, Outcome::kFailure);
        const TimePoint over = SaturatingAdd(start, std::max(span, Duration(1)));
        if (start < over) CHECK_FALSE(breaker.AdmitAt(start).ok());
        CHECK(breaker.retry_at() == SaturatingAdd(over, 1ns));
      }
    }
  }
}

TEST_CASE("a breaker takes any time, and a snapshot of any age") {
  for (int field = 0; field <= 6; ++field) {
    for (const Duration span : kSpans) {
      const CircuitBreaker::Options options = BreakerWith(field, span);
      if (!Validate(options).ok()) continue;
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        CircuitBreaker breaker(options);
        testing::Random random(seed);
        std::optional<Ticket> held;
        for (const TimePoint now : Shuffled(seed)) {
          if (auto ticket = breaker.AdmitAt(now); ticket.ok()) {
            if (held) held->DoneAt(now, static_cast<Outcome>(random.Below(3)));
            held.emplace(*std::move(ticket));
          }
          (void)breaker.CountsAt(now);
          BreakerSnapshot snapshot = breaker.SnapshotAt(now);
          CHECK(snapshot.open_for >= Duration::zero());
          if (random.Below(4) == 0) snapshot.open_for = span;
          (void)breaker.RestoreAt(now, snapshot, kSpans[random.Below(kSpans.size())]);
        }
      }
    }
  }
}

TEST_CASE("what learns from times takes any") {
  for (const Duration window : kSpans) {
    if (window <= Duration::zero()) continue;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      const auto latencies = std::make_shared<LatencyQuantile>(
          LatencyQuantile::Options{.window = window, .min_samples = 1});
      AdaptiveThrottler throttler({.window = window, .buckets = 3});
      AdaptiveLimiter vegas({.window = window, .min_samples = 1});
      AdaptiveLimiter aimd({.algorithm = Aimd{.timeout = window}, .window = window});
      Sometimes sometimes({.interval = window});
      testing::Random random(seed);
      TimePoint ran = TimePoint::min();
      for (const TimePoint now : Shuffled(seed)) {
        const Duration span = kSpans[random.Below(kSpans.size())];
        latencies->RecordAt(now, span);
        if (const auto value = latencies->ValueAt(now)) CHECK(*value >= Duration::zero());
        if (auto ticket = throttler.AdmitAt(now); ticket.ok()) {
          ticket->DoneAt(now, static_cast<Outcome>(random.Below(3)));
        }
        CHECK(throttler.StatsAt(now).rejection <= 1);
        const TimePoint end = SaturatingAdd(now, span);
        for (AdaptiveLimiter* limiter : {&vegas, &aimd}) {
          if (auto ticket = limiter->AdmitAt(now); ticket.ok()) {
            ticket->DoneAt(end, static_cast<Outcome>(random.Below(3)));
          }
          CHECK(limiter->limit() >= 1);
        }
        sometimes.DoAt(now, [&] {
          if (ran != TimePoint::min()) CHECK(SaturatingSub(now, ran) >= window);
          ran = now;
        });
      }
      for (const TimePoint start : Times()) {
        FakeClock clock(start);
        AdaptiveTimeoutOptions options{.min = 1ns, .max = window};
        CHECK(Stack(AdaptiveTimeout(latencies, options))
                  .Around([] { return absl::OkStatus(); }, &clock)()
                  .ok());
      }
    }
  }
}

TEST_CASE("a cache keeps a result for as long as it was told") {
  for (const Duration ttl : kSpans) {
    if (ttl <= Duration::zero()) continue;
    for (const TimePoint now : Times()) {
      CAPTURE(ttl.count(), now.time_since_epoch().count());
      ResultCache<int> cache({.ttl = ttl,
                              .stale_while_revalidate = Duration::max(),
                              .stale_if_error = Duration::max()});
      cache.PutAt(now, "key", 1);
      const TimePoint over = SaturatingAdd(now, ttl);
      CHECK(cache.GetAt(now, "key").has_value() == (now < over));
      if (now < over) CHECK(cache.GetAt(over - 1ns, "key").has_value());
      CHECK_FALSE(cache.GetAt(over, "key").has_value());
    }
  }
}

TEST_CASE("policies wait as long as they were told, whenever that is") {
  for (const TimePoint start : Starts()) {
    for (const Duration span : kSpans) {
      if (span < Duration::zero()) continue;
      CAPTURE(start.time_since_epoch().count(), span.count());
      FakeClock clock(start);
      const auto semaphore =
          std::make_shared<Semaphore>(Semaphore::Options{.limit = 1, .clock = &clock});
      const auto held = semaphore->TryAcquire();
      std::optional<ControlledDelay> delay;
      if (span > Duration::zero()) delay = ControlledDelay{.target = span, .interval = span};
      const TimePoint deadline = SaturatingAdd(start, kYear);
      for (const auto& controlled : {std::optional<ControlledDelay>(), delay}) {
        if (controlled && span == Duration::max()) continue;
        const absl::Status status =
            Stack(Bulkhead(semaphore, {.max_wait = span, .controlled_delay = controlled}))
                .Around([] { return absl::OkStatus(); }, &clock)
                .With({.deadline = deadline});
        CHECK(RejectionOf(status).has_value());
      }
      const auto ok = [] { return absl::OkStatus(); };
      FakeClock limit_clock(start);
      TokenBucket::Options bucket{.rate = 1, .burst = 1, .clock = &limit_clock};
      const auto limited = Stack(RateLimit(bucket, {.max_wait = span})).Around(ok, &limit_clock);
      CHECK(limited().ok());
      CHECK(limited().ok() == (span >= 1s && start < TimePoint::max() - 1s));
      FakeClock pace_clock(start);
      const auto paced =
          Stack(Pace(Pacer::Options{.rate = 1, .clock = &pace_clock}, {.max_wait = span}))
              .Around(ok, &pace_clock);
      CHECK(paced().ok() == (start < TimePoint::max()));
      (void)paced();
    }
  }
}

TEST_CASE("a simulated world takes any time") {
  using testing::Distribution;
  for (const Duration span : kSpans) {
    CAPTURE(span.count());
    testing::World world;
    int happened = 0;
    world.At(span, [&happened] { ++happened; });
    world.After(span, [&happened] { ++happened; });
    world.RunFor(span);
    world.RunFor(Duration::max());
    CHECK(happened == 2);
    FakeClock clock(TimePoint{span});
    clock.Advance(span);
    CHECK(clock.Now() == TimePoint(SaturatingAdd(span, span)));
    testing::Latencies latencies;
    latencies.Record(span);
    CHECK(latencies.Percentile(1) >= Duration::zero());
    testing::Random random(1);
    if (span < Duration::zero()) {
      CHECK_THROWS_AS(Distribution::Constant(span), std::invalid_argument);
      continue;
    }
    for (const Distribution& d :
         {Distribution::Constant(span), Distribution::Uniform(0ns, span),
          Distribution::Exponential(span), Distribution::Bimodal(span, span, 0.5)}) {
      CHECK(d.Sample(random) >= Duration::zero());
      CHECK(d.SampleRest(random) >= Duration::zero());
      CHECK(d.Mean() >= Duration::zero());
    }
  }
}

TEST_CASE("a report of waits that are longer than a duration says the longest") {
  FakeClock clock(TimePoint::min());
  Report report;
  const auto again = [](const Call&, const absl::Status&) {
    return RetryDecision::AgainAfter(Duration::max() - 1ns);
  };
  (void)Stack(Retry(Options(), again))
      .Around([] { return absl::UnavailableError("down"); }, &clock)
      .With({.report = &report});
  CHECK(report.attempts == 3);
  CHECK(report.waited == Duration::max());
}

}  // namespace
}  // namespace holdfast::extreme_times_test
