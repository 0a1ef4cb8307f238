// New options of a LatencyQuantile while samples are recorded.
#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/latency_quantile.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::latency_quantile_update_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Options = LatencyQuantile::Options;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

TEST_CASE("the value is at once that of the new quantile") {
  LatencyQuantile latencies({.quantile = 0.5, .min_samples = 1});
  for (int i = 1; i <= 10; ++i) latencies.RecordAt(At(1s), Duration(i));
  CHECK(latencies.ValueAt(At(1s)) == 5ns);
  CHECK(latencies.Update({.quantile = 1, .min_samples = 1}).ok());
  CHECK(latencies.ValueAt(At(1s)) == 10ns);
  CHECK(latencies.quantile() == 1);
  CHECK(latencies.Update({.quantile = 0.1, .min_samples = 1}).ok());
  CHECK(latencies.ValueAt(At(1s)) == 1ns);
}

TEST_CASE("there is a value, or none any more, as the new min_samples says") {
  LatencyQuantile latencies({.quantile = 1, .min_samples = 20});
  for (int i = 1; i <= 10; ++i) latencies.RecordAt(At(1s), Duration(i));
  CHECK_FALSE(latencies.ValueAt(At(1s)));
  CHECK(latencies.Update({.quantile = 1, .min_samples = 10}).ok());
  CHECK(latencies.ValueAt(At(1s)) == 10ns);
  CHECK(latencies.Update({.quantile = 1, .min_samples = 12}).ok());
  CHECK_FALSE(latencies.ValueAt(At(1s)));
  latencies.RecordAt(At(1s), 3ns);
  CHECK_FALSE(latencies.ValueAt(At(1s)));
  latencies.RecordAt(At(1s), 3ns);
  CHECK(latencies.ValueAt(At(1s)) == 10ns);
}

TEST_CASE("a new window counts from where the present half began") {
  LatencyQuantile latencies({.quantile = 1, .window = 20s, .min_samples = 1});
  latencies.RecordAt(At(100s), 50ns);
  latencies.RecordAt(At(110s), 40ns);  // the second half
  latencies.RecordAt(At(112s), 30ns);
  SECTION("a longer one turns later") {
    CHECK(latencies.Update({.quantile = 1, .window = 40s, .min_samples = 1}).ok());
    CHECK(latencies.ValueAt(At(130s - 1ns)) == 50ns);
    CHECK(latencies.ValueAt(At(130s)) == 40ns);
    CHECK(latencies.ValueAt(At(150s - 1ns)) == 40ns);
    CHECK_FALSE(latencies.ValueAt(At(150s)));
  }
  SECTION("a shorter one earlier") {
    CHECK(latencies.Update({.quantile = 1, .window = 6s, .min_samples = 1}).ok());
    CHECK(latencies.ValueAt(At(113s - 1ns)) == 50ns);
    CHECK(latencies.ValueAt(At(113s)) == 40ns);
    CHECK_FALSE(latencies.ValueAt(At(116s)));
  }
  SECTION("or by now has forgotten all") {
    CHECK(latencies.Update({.quantile = 1, .window = 2s, .min_samples = 1}).ok());
    CHECK_FALSE(latencies.ValueAt(At(112s)));
    latencies.RecordAt(At(112s), 7ns);
    CHECK(latencies.ValueAt(At(113s)) == 7ns);
  }
  SECTION("one without an end forgets nothing more") {
    CHECK(latencies.Update({.quantile = 1, .window = Duration::max(), .min_samples = 1}).ok());
    CHECK(latencies.ValueAt(At(24h * 365)) == 50ns);
    CHECK(latencies.Update({.quantile = 1, .window = 20s, .min_samples = 1}).ok());
    CHECK_FALSE(latencies.ValueAt(At(24h * 365)));
  }
}

TEST_CASE("options that change before the first sample are as if they had been given") {
  LatencyQuantile latencies({.quantile = 0.5, .window = 1h, .min_samples = 100});
  CHECK(latencies.Update({.quantile = 1, .window = 10s, .min_samples = 2}).ok());
  latencies.RecordAt(At(100s), 5ns);
  CHECK_FALSE(latencies.ValueAt(At(100s)));
  latencies.RecordAt(At(100s), 6ns);
  CHECK(latencies.ValueAt(At(104s)) == 6ns);
  CHECK_FALSE(latencies.ValueAt(At(110s)));
}

TEST_CASE("the same options change nothing, and those that are refused neither") {
  FakeClock clock;
  FakeClock other;
  LatencyQuantile latencies({.quantile = 0.5, .name = "db", .clock = &clock});
  for (int i = 0; i < 32; ++i) latencies.Record(10ns);
  latencies.Record(20ns);  // not counted yet: the value lags by a sixteenth
  const std::optional<Duration> value = latencies.Value();
  CHECK(latencies.Update(latencies.options()).ok());
  for (const Options& wrong :
       {Options{.quantile = 0}, Options{.window = 0s}, Options{.min_samples = 0},
        Options{.name = "web"}, Options{.clock = &other}}) {
    const absl::Status status = latencies.Update(wrong);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), test::StartsWith("LatencyQuantile db: "));
  }
  CHECK(latencies.Value() == value);
  CHECK(latencies.options().quantile == 0.5);
  CHECK(latencies.options().window == 30s);
  CHECK(latencies.options().name == "db");
  CHECK(latencies.options().clock == &clock);
}

// One that was given the last options, and the same samples, at once.
TEST_CASE("after an update the value is that of a quantile which always had these options") {
  test::Property([] {
    LatencyQuantile changed({.quantile = 0.123, .window = 1h, .min_samples = 1});
    const int n = *rc::gen::inRange(1, 200);
    for (int i = 0; i < n; ++i) changed.RecordAt(At(1s), Duration((i * 7919) % n));
    for (int updates = *rc::gen::inRange(1, 5); updates > 0; --updates) {
      const Options options = {.quantile = *rc::gen::inRange(1, 101) / 100.0,
                               .window = 1h,
                               .min_samples = *rc::gen::inRange(1, n + 10)};
      RC_ASSERT(changed.Update(options).ok());
      LatencyQuantile fresh({.quantile = options.quantile, .window = 1h, .min_samples = 1});
      for (int i = 0; i < n; ++i) fresh.RecordAt(At(1s), Duration((i * 7919) % n));
      const auto all = fresh.ValueAt(At(1s + 30min));  // a turn: computed from all samples
      RC_ASSERT(changed.ValueAt(At(1s)) == (n >= options.min_samples ? all : std::nullopt));
    }
  });
}

TEST_CASE("threads that record while the options change lose no sample") {
  LatencyQuantile latencies({.quantile = 0.5, .window = 1h, .min_samples = 1});
  constexpr std::int64_t kEach = 20'000;
  std::atomic<int> running = 3;
  std::atomic<int> wrong = 0;
  test::InThreads(4, [&](int thread) {
    if (thread < 3) {
      for (std::int64_t i = 0; i < kEach; ++i) {
        latencies.RecordAt(At(1s), Duration(1 + thread));
        const std::optional<Duration> value = latencies.ValueAt(At(1s));
        wrong += !value || (*value >= 1ns && *value <= 3ns) ? 0 : 1;
      }
      --running;
    } else {
      for (int i = 0; running > 0; ++i) {
        wrong += latencies
                         .Update({.quantile = 0.3 * (1 + i % 3),
                                  .window = 1h + i % 2 * 1s,
                                  .min_samples = 1 + i % 100})
                         .ok()
                     ? 0
                     : 1;
        wrong += latencies.options().window >= 1h ? 0 : 1;
        std::this_thread::yield();
      }
    }
  });
  CHECK(wrong == 0);
  // All three thirds are there, to the sample.
  CHECK(latencies.Update({.quantile = 1.0 / 3, .window = 1h, .min_samples = 3 * kEach}).ok());
  CHECK(latencies.ValueAt(At(1s)) == 1ns);
  CHECK(
      latencies.Update({.quantile = 1.0 / 3 + 1e-4, .window = 1h, .min_samples = 3 * kEach}).ok());
  CHECK(latencies.ValueAt(At(1s)) == 2ns);
  CHECK(latencies.Update({.quantile = 1, .window = 1h, .min_samples = 3 * kEach + 1}).ok());
  CHECK_FALSE(latencies.ValueAt(At(1s)));
}

}  // namespace
}  // namespace holdfast::latency_quantile_update_test
