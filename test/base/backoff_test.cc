#include "holdfast/base/backoff.h"

#include <absl/random/random.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "test/support/catch.h"

namespace holdfast::backoff_test {
namespace {

using namespace std::chrono_literals;
using Options = Backoff::Options;

TEST_CASE("exponential without jitter doubles up to its maximum") {
  absl::BitGen gen;
  const Backoff backoff =
      Backoff::Exponential({.initial = 1s, .max = 30s, .jitter = Jitter::kNone});
  const Duration expected[] = {1s, 2s, 4s, 8s, 16s, 30s, 30s};
  for (int retry = 1; retry <= 7; ++retry) CHECK(backoff.Delay(retry, gen) == expected[retry - 1]);
}

TEST_CASE("constant and linear") {
  absl::BitGen gen;
  CHECK(Backoff::Constant(2s).Delay(1, gen) == 2s);
  CHECK(Backoff::Constant(2s).Delay(1000, gen) == 2s);
  const Backoff linear = Backoff::Linear(2s, 5s);
  CHECK(linear.Delay(1, gen) == 2s);
  CHECK(linear.Delay(2, gen) == 4s);
  CHECK(linear.Delay(3, gen) == 5s);
}

TEST_CASE("delays saturate at any number of retries, and never go negative") {
  absl::BitGen gen;
  constexpr int kMost = std::numeric_limits<int>::max();
  const Backoff huge = Backoff::Exponential(
      {.initial = 1s, .max = Duration::max(), .multiplier = 1e300, .jitter = Jitter::kNone});
  CHECK(huge.Delay(kMost, gen) == Duration::max());
  CHECK(huge.Delay(1, gen) == 1s);
  CHECK(huge.Delay(-5, gen) == 1s);
  CHECK(Backoff::Linear(1h, Duration::max()).Delay(kMost, gen) > Duration::zero());
  CHECK(Backoff::Constant(0s).Delay(kMost, gen) == 0s);
  CHECK(Backoff::Exponential({.initial = 0s}).Delay(kMost, gen) == 0s);
  for (const Jitter jitter : {Jitter::kFull, Jitter::kEqual, Jitter::kDecorrelated}) {
    const Backoff backoff =
        Backoff::Exponential({.initial = 1s, .max = Duration::max(), .jitter = jitter});
    for (const int retry : {1, 2, 60, 64, kMost}) CHECK(backoff.Delay(retry, gen) >= 0s);
  }
}

TEST_CASE("jitter stays within its span, and fills it") {
  absl::BitGen gen;
  const auto [jitter, low, high] = GENERATE(table<Jitter, Duration, Duration>({
      {Jitter::kFull, 0s, 4s},
      {Jitter::kEqual, 2s, 4s},
      {Jitter::kDecorrelated, 1s, 10s},
  }));
  const Backoff backoff = Backoff::Exponential({.initial = 1s, .max = 10s, .jitter = jitter});
  Duration least = Duration::max();
  Duration most = Duration::min();
  for (int i = 0; i < 10'000; ++i) {
    const Duration delay = backoff.Delay(3, gen);
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  CHECK(least >= low);
  CHECK(most <= high);
  CHECK(least < low + (high - low) / 100);
  CHECK(most > high - (high - low) / 100);
}

constexpr int kClients = 100'000;

// The share of them in the fullest ten milliseconds.
double FullestBucket(const Backoff& backoff, int retry) {
  std::mt19937_64 gen(static_cast<std::uint64_t>(retry));
  std::unordered_map<Duration::rep, int> buckets;
  int fullest = 0;
  for (int i = 0; i < kClients; ++i) {
    fullest = std::max(fullest, ++buckets[backoff.Delay(retry, gen) / 10ms]);
  }
  return static_cast<double>(fullest) / kClients;
}

TEST_CASE("clients that failed together don't come back together, capped or not") {
  // The defect: with jitter before the clamp, all that are capped share one moment.
  const auto [name, jitter, span] = GENERATE(table<std::string, Jitter, Duration>({
      {"full", Jitter::kFull, 1s},  // before the first retry
      {"equal", Jitter::kEqual, 500ms},
      {"decorrelated", Jitter::kDecorrelated, 2s},
  }));
  const Backoff backoff = Backoff::Exponential({.initial = 1s, .max = 15s, .jitter = jitter});
  // In a second there are a hundred buckets, so that the fullest has more than one in a hundred.
  const double mean = 10ms / std::chrono::duration<double, std::nano>(span);
  const double first = FullestBucket(backoff, 1);
  CHECK(first < mean + 5 * std::sqrt(mean / kClients));
  double later = 0;
  for (int retry = 2; retry <= 12; ++retry) {
    later = std::max(later, FullestBucket(backoff, retry));
  }
  CHECK(later < (jitter == Jitter::kEqual ? 0.012 : 0.01));  // its second span is a second
  WARN(name << " jitter, base 1 s, cap 15 s: at most " << 100 * first
            << " % of the clients in the same 10 ms before retry 1, " << 100 * later
            << " % before retries 2 to 12");
}

TEST_CASE("any backoff can be spread, a user's own as well") {
  absl::BitGen gen;
  const Backoff squares = Backoff::Custom([](int retry) { return retry * retry * 1s; }, 20s);
  CHECK(squares.Delay(3, gen) == 9s);
  CHECK(squares.Delay(5, gen) == 20s);
  CHECK(Backoff::Custom([](int) { return -1s; }).Delay(1, gen) == 0s);
  const auto [backoff, retry, low, high] = GENERATE_COPY(table<Backoff, int, Duration, Duration>({
      {squares.WithJitter(Jitter::kEqual), 4, 8s, 16s},
      {squares.WithJitter(Jitter::kFull), 9, 0s, 20s},
      {squares.WithJitter(Jitter::kDecorrelated), 2, 1s, 9s},
      {Backoff::Constant(2s).WithJitter(Jitter::kFull), 7, 0s, 2s},
      {Backoff::Constant(2s).WithJitter(Jitter::kDecorrelated), 7, 2s, 6s},
      {Backoff::Linear(2s, 9s).WithJitter(Jitter::kEqual), 3, 3s, 6s},
  }));
  Duration least = Duration::max();
  Duration most = Duration::min();
  for (int i = 0; i < 10'000; ++i) {
    const Duration delay = backoff.Delay(retry, gen);
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  CHECK(least >= low);
  CHECK(most <= high);
  CHECK(least < low + (high - low) / 100);
  CHECK(most > high - (high - low) / 100);
}

TEST_CASE("the same seed gives the same delays") {
  const Backoff backoff;
  std::mt19937_64 one(7);
  std::mt19937_64 other(7);
  for (int retry = 1; retry < 20; ++retry) {
    CHECK(backoff.Delay(retry, one) == backoff.Delay(retry, other));
  }
}

TEST_CASE("a backoff refuses options that make no sense") {
  CHECK_THROWS_AS(Backoff::Constant(-1ns), std::invalid_argument);
  CHECK_THROWS_AS(Backoff::Linear(2s, 1s), std::invalid_argument);
  for (const double multiplier : {0.5, -1.0, double(NAN), double(INFINITY)}) {
    const Options options{.multiplier = multiplier};
    CHECK(Validate(options).code() == absl::StatusCode::kInvalidArgument);
    CHECK_THROWS_WITH(Backoff::Exponential(options), std::string(Validate(options).message()));
  }
  CHECK_THROWS_AS(Backoff::Exponential({.initial = 2s, .max = 1s}), std::invalid_argument);
  CHECK_THROWS_AS(Backoff::Custom(nullptr), std::invalid_argument);
  CHECK_THROWS_AS(Backoff::Custom([](int) { return 1s; }, -1s), std::invalid_argument);
  CHECK(Validate(Options{}).ok());
}

}  // namespace
}  // namespace holdfast::backoff_test
