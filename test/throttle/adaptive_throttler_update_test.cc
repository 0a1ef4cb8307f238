#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/stack/update_all.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/throttle/adaptive_throttle.h"
#include "holdfast/throttle/adaptive_throttler.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::adaptive_throttler_update_test {
namespace {

using namespace std::chrono_literals;
using Options = AdaptiveThrottler::Options;
using test::Approx;

constexpr TimePoint At(Duration since_start) { return TimePoint{since_start}; }

void Record(AdaptiveThrottler& throttler, TimePoint now, Outcome outcome, int times) {
  for (int i = 0; i < times; ++i) {
    auto ticket = throttler.AdmitAt(now);
    REQUIRE(ticket.ok());
    ticket->DoneAt(now, outcome);
  }
}

std::vector<bool> Decisions(AdaptiveThrottler& throttler, TimePoint now, int n) {
  std::vector<bool> admitted;
  for (int i = 0; i < n; ++i) admitted.push_back(throttler.AdmitAt(now).ok());
  return admitted;
}

// Ten accepts and thirty that were not, and it refuses nothing yet.
const Options kKnowing = {.max_rejection = 0, .min_requests = 0, .seed = 1};
void Learn(AdaptiveThrottler& throttler) {
  Record(throttler, At(0s), Outcome::kSuccess, 10);
  Record(throttler, At(1s), Outcome::kFailure, 30);
}
double Formula(double k) { return (40 - k * 10) / 41; }

TEST_CASE("a throttler judges what it has counted by its new k at once") {
  AdaptiveThrottler throttler(kKnowing);
  Learn(throttler);
  CHECK(throttler.StatsAt(At(1s)).rejection == 0);

  Options options = throttler.options();
  options.max_rejection = 1;
  REQUIRE(throttler.Update(options).ok());
  CHECK(throttler.StatsAt(At(1s)).rejection == Approx(Formula(2)));
  options.k = 1;
  REQUIRE(throttler.Update(options).ok());
  CHECK(throttler.StatsAt(At(1s)).rejection == Approx(Formula(1)));
  options.max_rejection = 0.25;
  REQUIRE(throttler.Update(options).ok());
  CHECK(throttler.StatsAt(At(1s)).rejection == 0.25);
  options.min_requests = 41;
  REQUIRE(throttler.Update(options).ok());
  CHECK(throttler.StatsAt(At(1s)).rejection == 0);

  SECTION("also where that ends the calm, and begins it") {
    options = {.k = 5, .max_rejection = 1, .min_requests = 0, .seed = 1};
    REQUIRE(throttler.Update(options).ok());
    CHECK(throttler.StatsAt(At(1s)).rejection == 0);  // calm: 5 * 10 > 40
    options.k = 1;
    REQUIRE(throttler.Update(options).ok());
    int refused = 0;
    for (const bool admitted : Decisions(throttler, At(1s), 100)) refused += admitted ? 0 : 1;
    CHECK(refused > 50);
    options.k = 100;
    REQUIRE(throttler.Update(options).ok());
    for (const bool admitted : Decisions(throttler, At(1s), 100)) CHECK(admitted);
  }
}

TEST_CASE("a throttler's next call is classified as its new options say") {
  AdaptiveThrottler throttler({.name = "orders"});
  const absl::Status not_found = absl::NotFoundError("");
  CHECK(throttler.Classify(not_found) == Outcome::kSuccess);
  auto alive = std::make_shared<int>(0);
  REQUIRE(throttler
              .Update({.classify =
                           [alive](const absl::Status& status) {
                             return status.ok() ? Outcome::kSuccess : Outcome::kFailure;
                           }})
              .ok());
  CHECK(throttler.Classify(not_found) == Outcome::kFailure);
  CHECK(throttler.Classify(absl::OkStatus()) == Outcome::kSuccess);
  REQUIRE(throttler.Update({}).ok());
  CHECK(throttler.Classify(not_found) == Outcome::kSuccess);
  CHECK(alive.use_count() == 1);  // the old one is gone
}

// Whose destructor asks the throttler.
TEST_CASE("a throttler's old classifier dies outside of its locks") {
  AdaptiveThrottler throttler({});
  int asked = 0;
  {
    const auto asks = [&throttler, &asked](int*) {
      const Options now = throttler.options();
      asked += throttler.Update(now).ok() ? 1 : 0;
    };
    std::shared_ptr<int> guard(nullptr, asks);
    REQUIRE(
        throttler.Update({.classify = [guard](const absl::Status&) { return Outcome::kIgnored; }})
            .ok());
  }
  REQUIRE(throttler.Update({}).ok());
  CHECK(asked == 1);
}

TEST_CASE("a throttler with another seed begins its sequence") {
  const auto refusing = [](std::optional<std::uint64_t> seed) -> Options {
    return {.k = 1, .max_rejection = 0.5, .min_requests = 0, .seed = seed};
  };
  AdaptiveThrottler throttler(refusing(1));
  Record(throttler, At(0s), Outcome::kFailure, 1);
  const auto first = Decisions(throttler, At(0s), 50);
  const auto next = Decisions(throttler, At(0s), 50);
  REQUIRE(first != next);
  REQUIRE(throttler.Update(refusing(2)).ok());
  REQUIRE(throttler.Update(refusing(1)).ok());
  CHECK(Decisions(throttler, At(0s), 50) == first);
  SECTION("and goes on with it under the same one") {
    REQUIRE(throttler.Update(refusing(1)).ok());
    CHECK(Decisions(throttler, At(0s), 50) == next);
  }
  SECTION("and draws from the thread's without one") {
    REQUIRE(throttler.Update(refusing(std::nullopt)).ok());
    const auto others = Decisions(throttler, At(0s), 200);
    CHECK(std::accumulate(others.begin(), others.end(), 0) > 50);
    REQUIRE(throttler.Update(refusing(1)).ok());
    CHECK(Decisions(throttler, At(0s), 50) == first);
  }
}

TEST_CASE("a throttler refuses a change that it can't make, and nothing changes") {
  testing::FakeClock clock;
  testing::FakeClock other;
  AdaptiveThrottler throttler(
      {.name = "orders", .k = 1, .max_rejection = 1, .min_requests = 3, .clock = &clock});
  Record(throttler, clock.Now(), Outcome::kFailure, 2);
  for (const Options& wrong : {Options{.k = 0.5}, Options{.window = 0s}, Options{.buckets = 0},
                               Options{.max_rejection = 2}, Options{.min_requests = -1},
                               Options{.name = "payments"}, Options{.clock = &other}}) {
    CHECK(absl::IsInvalidArgument(throttler.Update(wrong)));
  }
  const Options now = throttler.options();
  CHECK(now.name == "orders");
  CHECK(now.k == 1);
  CHECK(now.clock == &clock);
  CHECK(throttler.stats().requests == 2);
  SECTION("its own name and clock are none") {
    CHECK(throttler.Update({.name = "orders", .clock = &clock}).ok());
    CHECK(throttler.Update({.k = 3}).ok());
    CHECK(throttler.name() == "orders");
    CHECK(throttler.options().name == "orders");
    CHECK(throttler.options().clock == &clock);
    CHECK(throttler.options().k == 3);
  }
}

TEST_CASE("a throttler forgets nothing in an outage when its window changes") {
  const auto [window, buckets] = GENERATE(
      std::pair<Duration, std::int64_t>{1min, 40}, std::pair<Duration, std::int64_t>{10min, 40},
      std::pair<Duration, std::int64_t>{2min, 1}, std::pair<Duration, std::int64_t>{2min, 1000},
      std::pair<Duration, std::int64_t>{1h, 7});
  AdaptiveThrottler throttler({.max_rejection = 1, .min_requests = 0, .seed = 1});
  Record(throttler, At(0s), Outcome::kSuccess, 10);
  for (int i = 0; i < 300; ++i) {
    if (auto ticket = throttler.AdmitAt(At(i * 100ms)); ticket.ok()) {
      ticket->DoneAt(At(i * 100ms), Outcome::kFailure);
    }
  }
  const AdaptiveThrottlerStats before = throttler.StatsAt(At(30s));
  REQUIRE(before.rejection > 0.9);
  Options options = throttler.options();
  options.window = window;
  options.buckets = buckets;
  REQUIRE(throttler.Update(options).ok());
  const AdaptiveThrottlerStats after = throttler.StatsAt(At(30s));
  CHECK(after.requests == before.requests);
  CHECK(after.accepts == before.accepts);
  CHECK(after.refused == before.refused);
  CHECK(after.rejection == before.rejection);
}

TEST_CASE("what a throttler has counted leaves its new window by age") {
  AdaptiveThrottler throttler({.window = 40s, .buckets = 40, .max_rejection = 0});
  for (int i = 0; i < 40; ++i) Record(throttler, At(i * 1s), Outcome::kFailure, 1);
  Options options = throttler.options();
  SECTION("a shorter one forgets at once what is too old") {
    options.window = 10s;
    options.buckets = 10;
    REQUIRE(throttler.Update(options).ok());
    CHECK(throttler.StatsAt(At(39s)).requests == 10);
    CHECK(throttler.StatsAt(At(40s)).requests == 9);
    CHECK(throttler.StatsAt(At(49s)).requests == 0);
  }
  SECTION("a longer one keeps it for longer") {
    options.window = 80s;
    options.buckets = 80;
    REQUIRE(throttler.Update(options).ok());
    CHECK(throttler.StatsAt(At(79s - 1ns)).requests == 40);
    CHECK(throttler.StatsAt(At(100s)).requests == 20);
    CHECK(throttler.StatsAt(At(120s)).requests == 0);
  }
  SECTION("so does one of few buckets") {
    options.buckets = 2;  // of 20 s, of which one begins now
    REQUIRE(throttler.Update(options).ok());
    CHECK(throttler.StatsAt(At(39s)).requests == 40);
    CHECK(throttler.StatsAt(At(59s)).requests == 20);
    CHECK(throttler.StatsAt(At(79s)).requests == 0);
  }
  SECTION("the time without calls before the first one after it counts") {
    options.window = 10s;
    REQUIRE(throttler.Update(options).ok());
    CHECK(throttler.StatsAt(At(45s)).requests == 5);
  }
  SECTION("a success that reads no clock does not end a bucket") {
    auto ticket = throttler.AdmitAt(At(39s));
    options.window = 10s;
    options.buckets = 10;
    REQUIRE(throttler.Update(options).ok());
    ticket->Done(Outcome::kSuccess);
    CHECK(throttler.StatsAt(At(39s)).accepts == 1);
    CHECK(throttler.StatsAt(At(39s)).requests == 11);
  }
}

TEST_CASE("the same options change nothing in a throttler") {
  AdaptiveThrottler throttler({.window = 10s, .buckets = 10, .max_rejection = 0});
  AdaptiveThrottler untouched({.window = 10s, .buckets = 10, .max_rejection = 0});
  for (int i = 0; i < 200; ++i) {
    const TimePoint now = At(i * 130ms);
    const Outcome outcome = i % 3 == 0 ? Outcome::kFailure : Outcome::kSuccess;
    Record(throttler, now, outcome, 1);
    Record(untouched, now, outcome, 1);
    REQUIRE(throttler.Update(throttler.options()).ok());
    REQUIRE(throttler.StatsAt(now).requests == untouched.StatsAt(now).requests);
    REQUIRE(throttler.StatsAt(now).accepts == untouched.StatsAt(now).accepts);
  }
}

TEST_CASE("calls that are under way when a throttler changes count once") {
  AdaptiveThrottler throttler({.max_rejection = 0});
  auto ticket = throttler.AdmitAt(At(0s));
  REQUIRE(throttler.Update({.k = 1.5, .window = 5s, .buckets = 3, .max_rejection = 0}).ok());
  REQUIRE(ticket.ok());
  ticket->DoneAt(At(1s), Outcome::kFailure);
  CHECK(throttler.StatsAt(At(1s)).requests == 1);
  CHECK(throttler.StatsAt(At(20s)).requests == 0);
}

// All that came is known to the test with its time.
TEST_CASE("whatever its changes, a throttler's window holds what is young and not what is old") {
  test::Property([] {
    const auto bucket = [](const Options& options) {
      return options.window / options.buckets + 1ns;
    };
    const auto plan = [](Options options) {
      options.window = Duration(*rc::gen::inRange<Duration::rep>(1, 60)) * 1'000'000'000;
      options.buckets = *rc::gen::inRange<std::int64_t>(1, 30);
      return options;
    };
    Options options = plan({.max_rejection = 0});
    AdaptiveThrottler throttler(options);
    Duration astray = bucket(options);  // how far from its time a count may be
    TimePoint now = At(0s);
    TimePoint kept = At(0s);  // what came after it was never too old
    std::deque<TimePoint> came;
    for (int steps = *rc::gen::inRange(1, 300); steps > 0; --steps) {
      now += Duration(*rc::gen::inRange<Duration::rep>(0, 1'000)) * 1'000'000;
      Record(throttler, now, Outcome::kFailure, 1);
      came.push_back(now);
      if (*rc::gen::inRange(0, 40) == 0) {
        const Options next = plan(options);
        kept = std::max(kept, now - options.window + astray);
        astray += bucket(options) + bucket(next);
        options = next;
        RC_ASSERT(throttler.Update(options).ok());
      }
      const auto since = [&](Duration age) {
        const auto young = [&](TimePoint time) { return now - time <= age; };
        return static_cast<std::uint64_t>(std::count_if(came.begin(), came.end(), young));
      };
      const std::uint64_t requests = throttler.StatsAt(now).requests;
      RC_ASSERT(requests <= since(options.window + astray));
      RC_ASSERT(requests >= 1U);
      kept = std::max(kept, now - options.window + astray);
      RC_ASSERT(requests >= since(now - kept - 1ns));
    }
    // It forgets all of it.
    RC_ASSERT(throttler.StatsAt(now + options.window + astray).requests == 0U);
  });
}

TEST_CASE("a throttler's counts agree with those of one that never changed, whatever its rule") {
  test::Property([] {
    AdaptiveThrottler changed({.max_rejection = 0, .seed = 1});
    std::uint64_t requests = 0;
    std::uint64_t accepts = 0;
    for (int steps = *rc::gen::inRange(1, 200); steps > 0; --steps) {
      if (*rc::gen::inRange(0, 4) == 0) {
        RC_ASSERT(changed
                      .Update({.k = 1 + *rc::gen::inRange(0, 30) / 10.0,
                               .max_rejection = *rc::gen::inRange(0, 11) / 10.0,
                               .min_requests = *rc::gen::inRange(0, 30),
                               .seed = 1})
                      .ok());
      }
      const bool accepted = *rc::gen::arbitrary<bool>();
      ++requests;
      if (auto ticket = changed.AdmitAt(At(1s)); ticket.ok()) {
        ticket->DoneAt(At(1s), accepted ? Outcome::kSuccess : Outcome::kFailure);
        accepts += accepted ? 1 : 0;
      }
      const AdaptiveThrottlerStats stats = changed.StatsAt(At(1s));
      RC_ASSERT(stats.requests == requests);
      RC_ASSERT(stats.accepts == accepts);
      const Options now = changed.options();
      const auto n = static_cast<double>(requests);
      const double p = (n - now.k * static_cast<double>(accepts)) / (n + 1);
      const bool few = std::cmp_less(requests, now.min_requests);
      RC_ASSERT(stats.rejection == (few ? 0.0 : std::clamp(p, 0.0, now.max_rejection)));
    }
  });
}

TEST_CASE("threads that change a throttler lose no call of others") {
  constexpr int kCalls = 3000;
  AdaptiveThrottler throttler({.window = 1h, .max_rejection = 0.5, .min_requests = 0, .seed = 1});
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> accepted{0};
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < kCalls; ++i) {
      if (thread == 0) {
        const auto ignored = [](const absl::Status&) { return Outcome::kIgnored; };
        Options next = {.k = 1 + i % 5 / 2.0,
                        .window = i % 3 == 0 ? Duration(1h) : Duration(2h),
                        .buckets = 1 + i % 7,
                        .max_rejection = 0.5,
                        .min_requests = i % 2,
                        .seed = i % 4};
        if (i % 2 == 0) next.classify = ignored;
        CHECK(throttler.Update(std::move(next)).ok());
        if (throttler.options().k > 3) refused = 1'000'000;
        continue;
      }
      const Outcome classified = throttler.Classify(absl::UnavailableError(""));
      if (classified == Outcome::kSuccess) refused = 1'000'000;
      auto ticket = throttler.AdmitAt(At(i * 1us));
      if (!ticket.ok()) {
        ++refused;
        continue;
      }
      const bool accept = i % 2 == 0;
      accepted += accept ? 1 : 0;
      ticket->DoneAt(At(i * 1us), accept ? Outcome::kSuccess : Outcome::kFailure);
    }
  });
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(1s));
  CHECK(stats.requests == 3 * kCalls);
  CHECK(stats.refused == refused);
  CHECK(stats.accepts == accepted);
}

TEST_CASE("UpdateAll changes a throttler with what else is in its stack, or neither") {
  testing::FakeClock clock;
  auto throttler = std::make_shared<AdaptiveThrottler>(Options{.name = "orders"});
  auto limit = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 10s});
  auto stack = Stack(Timeout(limit), AdaptiveThrottle(throttler), Timeout(2s));
  CHECK(UpdateAll(stack, Change(throttler, {.k = 3}), Change(limit, {.limit = 5s})).ok());
  CHECK(throttler->options().k == 3);
  CHECK(limit->options().limit == Duration(5s));

  SECTION("which neither refuses") {
    CHECK_FALSE(
        UpdateAll(stack, Change(throttler, {.k = 4, .buckets = 0}), Change(limit, {.limit = 6s}))
            .ok());
    CHECK_FALSE(UpdateAll(stack, Change(throttler, {.k = 4}), Change(limit, {.limit = 0s})).ok());
  }
  SECTION("nor Validate") {  // too short a window for calls of two seconds
    CHECK_FALSE(
        UpdateAll(stack, Change(throttler, {.k = 4, .window = 3s}), Change(limit, {.limit = 6s}))
            .ok());
  }
  CHECK(throttler->options().k == 3);
  CHECK(limit->options().limit == Duration(5s));
}

TEST_CASE("a throttler says what it would be after changes") {
  auto throttler = std::make_shared<AdaptiveThrottler>(Options{.name = "orders"});
  const AdaptiveThrottle throttle(throttler);
  internal::Changes changes;
  const Options next = {.k = 1.5, .window = 10s, .max_rejection = 0.5};
  changes.Add(*throttler, next);
  const PolicyInfo info = throttle.Info(changes);
  CHECK(info.window == Duration(10s));
  CHECK(info.settings == "\"orders\", K 1.5, window 10s, rejects up to 50%");
  CHECK(throttle.Info().window == Duration(2min));
}

}  // namespace
}  // namespace holdfast::adaptive_throttler_update_test
