#include "holdfast/backoff.h"

#include <absl/random/random.h>

#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "test/support/catch.h"

namespace holdfast {
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

TEST_CASE("clients whose delay is capped don't come back together") {
  // The defect: with jitter before the clamp, all of them share one moment (field.md 2.2).
  absl::BitGen gen;
  const Jitter jitter = GENERATE(Jitter::kFull, Jitter::kEqual, Jitter::kDecorrelated);
  const Backoff backoff = Backoff::Exponential({.initial = 1s, .max = 15s, .jitter = jitter});
  constexpr int kClients = 100'000;
  std::map<Duration, int> buckets;
  int fullest = 0;
  for (int i = 0; i < kClients; ++i) {
    fullest = std::max(fullest, ++buckets[backoff.Delay(10, gen) / 10'000'000 * 10'000'000]);
  }
  CHECK(fullest < kClients / 250);
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
  CHECK(Validate(Options{}).ok());
}

}  // namespace
}  // namespace holdfast
