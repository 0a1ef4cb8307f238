#include <absl/status/status.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/throttle/adaptive_throttle.h"
#include "holdfast/throttle/adaptive_throttler.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::throttle_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::Approx;
using test::Collected;
using testing::FakeClock;
using Options = AdaptiveThrottler::Options;

double Told(const Collected& collected, const std::string& metric, Priority priority) {
  return collected.at("holdfast.adaptive_throttle." + metric,
                      std::string("holdfast.priority=").append(ToString(priority)));
}

double Told(const AdaptiveThrottler& throttler, const std::string& metric,
            Priority priority = Priority::kNormal) {
  Collected collected;
  throttler.Collect(collected);
  return Told(collected, metric, priority);
}

// One call; true if it was admitted.
bool Make(AdaptiveThrottler& throttler, Outcome outcome, Priority priority = Priority::kNormal) {
  auto ticket = throttler.Admit(priority);
  if (ticket.ok()) ticket->Done(outcome);
  return ticket.ok();
}

TEST_CASE("a throttler counts requests, accepts and refusals by priority, also by hand") {
  FakeClock clock(TimePoint{1h});
  AdaptiveThrottler throttler({.max_rejection = 1, .min_requests = 27, .clock = &clock});
  REQUIRE(Make(throttler, Outcome::kIgnored, Priority::kCritical));
  REQUIRE(throttler.Admit(Priority::kCritical).ok());  // the ticket is dropped
  for (int i = 0; i < 7; ++i) REQUIRE(Make(throttler, Outcome::kSuccess, Priority::kCritical));
  for (int i = 0; i < 20; ++i) REQUIRE(Make(throttler, Outcome::kFailure, Priority::kCritical));
  // All of the lowest priority are to be refused from here on.
  for (int i = 0; i < 3; ++i) REQUIRE_FALSE(Make(throttler, Outcome::kSuccess, Priority::kLow));

  CHECK(Told(throttler, "requests", Priority::kCritical) == 27);
  CHECK(Told(throttler, "accepts", Priority::kCritical) == 7);
  CHECK(Told(throttler, "refusals", Priority::kCritical) == 0);
  CHECK(Told(throttler, "requests", Priority::kLow) == 3);
  CHECK(Told(throttler, "accepts", Priority::kLow) == 0);
  CHECK(Told(throttler, "refusals", Priority::kLow) == 3);
  Collected collected;
  throttler.Collect(collected);
  CHECK(collected.all().size() == 4 * kPriorities);  // series that are zero too
}

TEST_CASE("a throttle in a stack counts in its throttler, which it names") {
  FakeClock clock;
  const auto throttler = std::make_shared<AdaptiveThrottler>(
      Options{.name = "api", .max_rejection = 1, .min_requests = 10});
  const auto stack = Stack(AdaptiveThrottle(throttler));
  const auto call = stack.Around([](const absl::Status& status) { return status; }, &clock);
  for (int i = 0; i < 10; ++i) (void)call(absl::UnavailableError("down"));
  CHECK(absl::IsUnavailable(call.With({.priority = Priority::kSheddable}, absl::OkStatus())));

  const CollectedObjects objects = stack.Objects();
  REQUIRE(objects.all().size() == 2);
  const CollectedObject& object = objects.all()[1];
  CHECK(object.kind == "AdaptiveThrottle");
  CHECK(object.name(object.object.lock().get()) == "api");
  Collected collected;
  object.collect(object.object.lock().get(), collected);
  CHECK(Told(collected, "requests", Priority::kNormal) == 10);
  CHECK(Told(collected, "accepts", Priority::kNormal) == 0);
  CHECK(Told(collected, "refusals", Priority::kSheddable) == 1);
}

TEST_CASE("what leaves the window stays in the totals") {
  FakeClock clock(TimePoint{1h});
  AdaptiveThrottler throttler(
      {.window = 10s, .buckets = 10, .min_requests = 1000, .clock = &clock});
  double requests = 0;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(Make(throttler, i % 3 == 0 ? Outcome::kFailure : Outcome::kSuccess));
    clock.Advance(700ms);
    CHECK(Told(throttler, "requests") == ++requests);
    if (i == 50) REQUIRE(throttler.Update({.window = 3s, .buckets = 3}).ok());
  }
  CHECK(throttler.stats().requests < 10);
  CHECK(Told(throttler, "accepts") == 66);
}

TEST_CASE("the rejection ratio is that of now, though no call has come") {
  FakeClock clock(TimePoint{1h});
  AdaptiveThrottler throttler({.window = 10s, .buckets = 10, .min_requests = 0, .clock = &clock});
  CHECK(Told(throttler, "rejection_ratio") == 0);
  for (int i = 0; i < 10; ++i) (void)Make(throttler, Outcome::kFailure, Priority::kLow);
  clock.Advance(5s);
  for (int i = 0; i < 10; ++i) (void)Make(throttler, Outcome::kFailure);
  for (const Duration step : {0s, 4s, 1s, 4s, 1s, 20s}) {
    clock.Advance(step);
    Collected collected;
    throttler.Collect(collected);
    const AdaptiveThrottlerStats stats = throttler.stats();
    for (std::size_t i = 0; i < kPriorities; ++i) {
      CHECK(Told(collected, "rejection_ratio", static_cast<Priority>(i)) ==
            Approx(stats.rejection_of[i]));
    }
  }
  CHECK(Told(throttler, "rejection_ratio") == 0);
}

// What a throttler decided in a script, with many looks at it in the midst if `looks`.
std::vector<double> Trace(bool looks) {
  FakeClock clock(TimePoint{1h});
  int classified = 0;
  AdaptiveThrottler throttler({.window = 8s,
                               .buckets = 8,
                               .min_requests = 5,
                               .classify =
                                   [&classified](const absl::Status& status) {
                                     ++classified;
                                     return status.ok() ? Outcome::kSuccess : Outcome::kFailure;
                                   },
                               .seed = 7,
                               .clock = &clock});
  std::vector<double> trace;
  Collected collected;
  for (int round = 0; round < 200; ++round) {
    const bool down = round % 80 > 30;
    auto ticket = throttler.Admit(static_cast<Priority>(round % 4));
    for (int i = 0; looks && i < (round == 100 ? 1000 : 1); ++i) throttler.Collect(collected);
    clock.Advance(round % 10 == 0 ? 1500ms : 100ms);
    if (looks) throttler.Collect(collected);
    if (ticket.ok()) {
      const absl::Status status = down ? absl::UnavailableError("") : absl::OkStatus();
      ticket->Done(throttler.Classify(status));
    }
    trace.push_back(ticket.ok() ? 1 : 0);
    trace.push_back(classified);
  }
  const AdaptiveThrottlerStats stats = throttler.stats();
  trace.push_back(static_cast<double>(stats.requests));
  trace.push_back(static_cast<double>(stats.accepts));
  trace.push_back(static_cast<double>(stats.refused));
  return trace;
}

TEST_CASE("to look at a throttler changes nothing, and runs no callback") {
  CHECK(Trace(true) == Trace(false));
}

TEST_CASE("among threads each call counts once, and counts never shrink") {
  constexpr int kThreads = 6;
  constexpr int kCalls = 5000;
  AdaptiveThrottler throttler({.window = 1ms, .buckets = 2, .max_rejection = 1, .min_requests = 5});
  std::array<std::atomic<std::uint64_t>, 3> made{};  // refused, accepted, not accepted
  std::atomic<int> finished{0};
  std::atomic<bool> shrank{false};
  test::InThreads(kThreads + 1, [&](int thread) {
    if (thread == kThreads) {
      std::array<double, 3> before{};
      while (finished.load(std::memory_order_relaxed) < kThreads) {
        Collected collected;
        throttler.Collect(collected);
        const std::array<double, 3> now = {Told(collected, "requests", Priority::kLow),
                                           Told(collected, "accepts", Priority::kLow),
                                           Told(collected, "refusals", Priority::kLow)};
        for (std::size_t i = 0; i < now.size(); ++i) {
          if (now[i] < before[i]) shrank.store(true, std::memory_order_relaxed);
        }
        if (now[0] < now[1] + now[2]) shrank.store(true, std::memory_order_relaxed);
        before = now;
      }
      return;
    }
    for (int i = 0; i < kCalls; ++i) {
      const bool success = (i / 500) % 2 == 0;
      const bool admitted = Make(throttler, success ? Outcome::kSuccess : Outcome::kFailure,
                                 i % 2 == 0 ? Priority::kLow : Priority::kNormal);
      const std::size_t which = !admitted ? 0 : success ? 1 : 2;
      made[which].fetch_add(1, std::memory_order_relaxed);
    }
    finished.fetch_add(1, std::memory_order_relaxed);
  });
  CHECK_FALSE(shrank.load());
  const auto both = [&](const std::string& metric) {
    return Told(throttler, metric, Priority::kLow) + Told(throttler, metric, Priority::kNormal);
  };
  CHECK(both("requests") == kThreads * kCalls);
  CHECK(both("refusals") == static_cast<double>(made[0].load()));
  CHECK(both("accepts") == static_cast<double>(made[1].load()));
}

}  // namespace
}  // namespace holdfast::throttle_metrics_test
