#include "holdfast/throttle/adaptive_throttler.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::adaptive_throttler_test {
namespace {

using namespace std::chrono_literals;
using internal::ThrottleCounts;
using internal::ThrottleRule;
using Options = AdaptiveThrottler::Options;
using test::Approx;
using test::WithinAbs;

constexpr TimePoint At(Duration since_start) { return TimePoint{since_start}; }

// Never refuses, so that a test can count what it likes.
Options Counting() { return {.max_rejection = 0, .min_requests = 0}; }
// The book's formula and nothing else.
Options Pure() { return {.max_rejection = 1, .min_requests = 0, .seed = 1}; }

// Asks, and if admitted reports the outcome at the same time. True if admitted.
bool Call(AdaptiveThrottler& throttler, TimePoint now, Outcome outcome,
          Priority priority = Priority::kNormal) {
  auto ticket = throttler.AdmitAt(now, priority);
  if (ticket.ok()) ticket->DoneAt(now, outcome);
  return ticket.ok();
}

void Record(AdaptiveThrottler& throttler, TimePoint now, Outcome outcome, int times,
            Priority priority = Priority::kNormal) {
  for (int i = 0; i < times; ++i) REQUIRE(Call(throttler, now, outcome, priority));
}

// Of the same counts without a cap; there is no public way to count what it would have refused.
double Formula(const AdaptiveThrottlerStats& stats, double k) {
  const auto n = static_cast<double>(stats.requests);
  return std::max(0.0, (n - k * static_cast<double>(stats.accepts)) / (n + 1));
}

TEST_CASE("a throttler counts requests and accepts, and refuses by the book's formula") {
  AdaptiveThrottler throttler({.max_rejection = 1, .min_requests = 40, .seed = 1});
  Record(throttler, At(0s), Outcome::kSuccess, 15);
  Record(throttler, At(1s), Outcome::kFailure, 24);
  CHECK(throttler.StatsAt(At(1s)).rejection == 0);  // one request too few to say anything
  Record(throttler, At(1s), Outcome::kFailure, 1);
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(1s));
  CHECK(stats.requests == 40);
  CHECK(stats.accepts == 15);
  CHECK(stats.refused == 0);
  CHECK(stats.rejection == Approx((40 - 2 * 15) / 41.0));

  int refused = 0;
  for (int i = 0; i < 100; ++i) refused += throttler.AdmitAt(At(1s)).ok() ? 0 : 1;
  const AdaptiveThrottlerStats after = throttler.StatsAt(At(1s));
  CHECK(refused > 0);
  CHECK(after.refused == static_cast<std::uint64_t>(refused));
  CHECK(after.requests == 40 + after.refused);
  CHECK(after.rejection == Approx(Formula(after, 2)));
}

TEST_CASE("while the backend accepts one in K nothing is refused") {
  const double k = GENERATE(1.0, 1.5, 2.0, 4.0);
  AdaptiveThrottler throttler({.k = k, .max_rejection = 1, .min_requests = 0});
  const int failures = static_cast<int>(100 * (k - 1));
  Record(throttler, At(0s), Outcome::kSuccess, 100);
  Record(throttler, At(0s), Outcome::kFailure, failures);
  CHECK(throttler.StatsAt(At(0s)).rejection == 0);
  Record(throttler, At(0s), Outcome::kFailure, 1);
  CHECK(throttler.StatsAt(At(0s)).rejection == Approx(1 / (100 * k + 2)));
  CHECK(throttler.StatsAt(At(0s)).rejection > 0);
}

TEST_CASE("a new throttler, one of which nothing was asked, refuses nothing") {
  AdaptiveThrottler throttler(Pure());
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(0s));
  CHECK(stats.requests == 0);
  CHECK(stats.rejection == 0);
  CHECK(stats.rejection_of == std::array<double, kPriorities>{});
  CHECK(throttler.AdmitAt(At(0s)).ok());
}

TEST_CASE("calls that are under way say nothing") {
  AdaptiveThrottler throttler(Pure());
  std::vector<AdaptiveThrottler::Ticket> tickets;
  for (int i = 0; i < 1000; ++i) {
    auto ticket = throttler.AdmitAt(At(0s));
    REQUIRE(ticket.ok());
    tickets.push_back(*std::move(ticket));
  }
  CHECK(throttler.StatsAt(At(0s)).requests == 0);
  for (AdaptiveThrottler::Ticket& ticket : tickets) ticket.DoneAt(At(1s), Outcome::kSuccess);
  CHECK(throttler.StatsAt(At(1s)).accepts == 1000);
}

TEST_CASE("what is ignored or dropped counts neither way, and only the first Done counts") {
  AdaptiveThrottler throttler(Pure());
  for (int i = 0; i < 100; ++i) {
    Record(throttler, At(0s), Outcome::kIgnored, 1);
    REQUIRE(throttler.AdmitAt(At(0s)).ok());
  }
  CHECK(throttler.StatsAt(At(0s)).requests == 0);

  auto first = throttler.AdmitAt(At(0s));
  AdaptiveThrottler::Ticket second = *std::move(first);
  first->DoneAt(At(0s), Outcome::kFailure);  // NOLINT(bugprone-use-after-move): of no throttler now
  CHECK(throttler.StatsAt(At(0s)).requests == 0);
  second.DoneAt(At(0s), Outcome::kSuccess);
  second.DoneAt(At(0s), Outcome::kFailure);
  second.Done(Outcome::kFailure);
  AdaptiveThrottler::Ticket().Done(Outcome::kFailure);
  CHECK(throttler.StatsAt(At(0s)).requests == 1);
  CHECK(throttler.StatsAt(At(0s)).accepts == 1);
  second = *throttler.AdmitAt(At(0s));
  second = AdaptiveThrottler::Ticket();
  CHECK(throttler.StatsAt(At(0s)).requests == 1);
}

TEST_CASE("the window forgets bucket by bucket") {
  Options options = Counting();
  options.window = 10s;
  options.buckets = 5;
  AdaptiveThrottler throttler(options);
  // The first call's time is where the buckets begin.
  for (int second = 0; second < 10; ++second) {
    Record(throttler, At(100s + second * 1s), Outcome::kFailure, second + 1);
  }
  CHECK(throttler.StatsAt(At(110s - 1ns)).requests == 55);
  CHECK(throttler.StatsAt(At(110s)).requests == 55 - 1 - 2);
  CHECK(throttler.StatsAt(At(112s - 1ns)).requests == 52);
  CHECK(throttler.StatsAt(At(112s)).requests == 52 - 3 - 4);
  CHECK(throttler.StatsAt(At(118s)).requests == 0);
  Record(throttler, At(119s), Outcome::kSuccess, 7);
  CHECK(throttler.StatsAt(At(119s)).accepts == 7);
  CHECK(throttler.StatsAt(At(1h)).requests == 0);
}

TEST_CASE("a window that no bucket divides is rounded up to the nanosecond") {
  Options options = Counting();
  options.window = 10ns;
  options.buckets = 4;  // of 3 ns
  AdaptiveThrottler throttler(options);
  Record(throttler, At(0ns), Outcome::kFailure, 1);
  CHECK(throttler.StatsAt(At(11ns)).requests == 1);
  CHECK(throttler.StatsAt(At(12ns)).requests == 0);
}

TEST_CASE("of one bucket, a window is a fixed one") {
  Options options = Counting();
  options.window = 10s;
  options.buckets = 1;
  AdaptiveThrottler throttler(options);
  Record(throttler, At(1s), Outcome::kFailure, 3);
  CHECK(throttler.StatsAt(At(11s - 1ns)).requests == 3);
  CHECK(throttler.StatsAt(At(11s)).requests == 0);
}

// failsafe-go counts only what it admits, and so did go-zero (#5011): then what is refused makes
// the backend look better than it is, and P stays where those that are admitted put it.
TEST_CASE("with a dead backend what it refuses counts, and P is that of the formula") {
  AdaptiveThrottler throttler(Pure());
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (Call(throttler, At(i * 10ms), Outcome::kFailure)) ++admitted;
  }
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(100s));
  CHECK(stats.requests == 10'000);
  CHECK(stats.refused == static_cast<std::uint64_t>(10'000 - admitted));
  CHECK(stats.rejection == Approx(10'000.0 / 10'001.0).epsilon(1e-12));
  // The n-th call is sent with the probability 1 / n: in all about ln(10,000) + 0.6 of them.
  CHECK(admitted >= 3);
  CHECK(admitted <= 25);
}

TEST_CASE("of an overloaded backend's calls as many are sent as the formula says") {
  // It accepts 20 a second of the 100 that are asked for: P = 1 - K * 20 / 100.
  const double k = GENERATE(1.1, 2.0, 3.0);
  AdaptiveThrottler throttler({.k = k, .window = 10s, .seed = 7});
  int sent = 0;
  double budget = 0;
  for (int i = 0; i < 20'000; ++i) {
    budget = std::min(budget + 0.2, 5.0);
    auto ticket = throttler.AdmitAt(At(i * 10ms));
    if (!ticket.ok()) continue;
    const bool accepts = budget >= 1;
    if (accepts) budget -= 1;
    ticket->DoneAt(At(i * 10ms), accepts ? Outcome::kSuccess : Outcome::kFailure);
    if (i >= 10'000) ++sent;
  }
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(200s));
  CHECK_THAT(stats.rejection, WithinAbs(1 - k * 0.2, 0.05));
  CHECK_THAT(sent / 10'000.0, WithinAbs(k * 0.2, 0.05));
}

// How many calls a backend gets while it is dead, and how long after that one is still refused.
struct Recovery {
  int admitted_while_dead = 0;
  Duration calm_after{};
};

Recovery Recover(Options options, Duration dead_for, Duration interval) {
  options.seed = 3;
  AdaptiveThrottler throttler(options);
  Recovery recovery;
  const Duration end = dead_for + 20 * options.window;
  for (Duration now{}; now < end; now += interval) {
    const bool dead = now < dead_for;
    const bool admitted = Call(throttler, At(now), dead ? Outcome::kFailure : Outcome::kSuccess);
    if (admitted && dead) ++recovery.admitted_while_dead;
    if (!admitted && !dead) recovery.calm_after = now - dead_for;
  }
  return recovery;
}

TEST_CASE("after a dead backend is back, all is sent again in less than two windows") {
  const Recovery defaults = Recover({}, 10min, 10ms);
  CHECK_THAT(defaults.admitted_while_dead / 60'000.0, WithinAbs(0.1, 0.01));
  CHECK(defaults.calm_after > 2min);
  CHECK(defaults.calm_after < 4min);
  const Recovery quick = Recover({.window = 10s}, 10min, 10ms);
  CHECK(quick.calm_after < 20s);
  // The formula alone sends next to nothing, and so takes long to find out.
  const Recovery pure = Recover({.max_rejection = 1}, 10min, 10ms);
  CHECK(pure.admitted_while_dead < 100);
  CHECK(pure.calm_after > 2 * defaults.calm_after);
}

TEST_CASE("P is spent on the lowest priorities first") {
  const ThrottleRule rule{.k = 2, .max_rejection = 1, .min_requests = 0};
  // 50 sheddable, 30 normal and 20 critical ones, of which 20 were accepted.
  const ThrottleCounts counts{.requests = {50, 0, 30, 20}, .accepts = 20};
  const double overall = 60 / 101.0;
  CHECK(rule.Overall(counts) == Approx(overall));
  CHECK(rule.Of(Priority::kSheddable, counts) == 1);
  CHECK(rule.Of(Priority::kLow, counts) == 1);  // there were none; below what is refused
  CHECK(rule.Of(Priority::kNormal, counts) == Approx((overall - 0.5) / 0.3));
  CHECK(rule.Of(Priority::kCritical, counts) == 0);

  const ThrottleCounts better{.requests = {50, 0, 30, 20}, .accepts = 45};
  CHECK(rule.Of(Priority::kSheddable, better) == Approx(10 / 101.0 / 0.5));
  CHECK(rule.Of(Priority::kLow, better) == 0);
  CHECK(rule.Of(Priority::kNormal, better) == 0);

  const ThrottleCounts worse{.requests = {50, 0, 30, 20}, .accepts = 5};
  CHECK(rule.Of(Priority::kNormal, worse) == 1);
  CHECK(rule.Of(Priority::kCritical, worse) == Approx((90 / 101.0 - 0.8) / 0.2));
}

TEST_CASE("what a throttler refuses of each priority is what it says") {
  AdaptiveThrottler throttler({.max_rejection = 1, .min_requests = 100, .seed = 5});
  Record(throttler, At(0s), Outcome::kSuccess, 20, Priority::kCritical);
  Record(throttler, At(0s), Outcome::kFailure, 30, Priority::kNormal);
  Record(throttler, At(0s), Outcome::kFailure, 50, Priority::kSheddable);
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(0s));
  CHECK(stats.requests_of == std::array<std::uint64_t, kPriorities>{50, 0, 30, 20});
  CHECK(stats.rejection == Approx(60 / 101.0));
  CHECK(stats.rejection_of[0] == 1);
  CHECK(stats.rejection_of[2] == Approx((60 / 101.0 - 0.5) / 0.3));
  CHECK(stats.rejection_of[3] == 0);
  for (int i = 0; i < 30; ++i) {
    CHECK(throttler.AdmitAt(At(0s), Priority::kCritical).ok());
    CHECK_FALSE(Call(throttler, At(0s), Outcome::kSuccess, Priority::kSheddable));
  }
  CHECK(throttler.StatsAt(At(0s)).requests_of[0] == 80);
}

TEST_CASE("calls of one priority, whichever, are refused with P each") {
  const Priority priority =
      GENERATE(Priority::kSheddable, Priority::kLow, Priority::kNormal, Priority::kCritical);
  const ThrottleRule rule{.k = 2, .max_rejection = 0.9, .min_requests = 0};
  ThrottleCounts counts{.accepts = 10};
  counts.requests[static_cast<std::size_t>(priority)] = 50;
  CHECK(rule.Of(priority, counts) == Approx(30 / 51.0));
  counts.accepts = 0;
  CHECK(rule.Of(priority, counts) == Approx(0.9));  // some still find out
}

// However low the calls that find out whether the backend is back.
TEST_CASE("low calls are let through again when no higher ones come") {
  AdaptiveThrottler throttler({.window = 10s, .seed = 9});
  for (int i = 0; i < 1000; ++i) Call(throttler, At(i * 10ms), Outcome::kFailure);
  int admitted = 0;
  for (int i = 1000; i < 3000; ++i) {
    if (Call(throttler, At(i * 10ms), Outcome::kFailure, Priority::kSheddable)) ++admitted;
  }
  CHECK(admitted > 50);  // a tenth of the second window's 1,000
  for (int i = 3000; i < 5000; ++i) {
    Call(throttler, At(i * 10ms), Outcome::kSuccess, Priority::kSheddable);
  }
  CHECK(throttler.StatsAt(At(50s)).rejection == 0);
}

TEST_CASE("whatever the mix, P of all calls are refused") {
  test::Property([] {
    const auto some = [] { return *rc::gen::inRange<std::uint64_t>(1, 1'000'000); };
    ThrottleCounts counts{.requests = {some(), some(), some(), some()}};
    counts.accepts = *rc::gen::inRange<std::uint64_t>(0, 500'000);
    const ThrottleRule rule{
        .k = 1 + *rc::gen::inRange(0, 100) / 25.0, .max_rejection = 1, .min_requests = 0};
    double all = 0;
    double refused = 0;
    double higher = 1;
    for (std::size_t i = 0; i < kPriorities; ++i) {
      const double rejection = rule.Of(static_cast<Priority>(i), counts);
      RC_ASSERT(rejection >= 0 && rejection <= 1);
      RC_ASSERT(rejection <= higher);            // lower ones are refused at least as much
      RC_ASSERT(rejection == 0 || higher == 1);  // and all of them before the next
      higher = rejection;
      all += static_cast<double>(counts.requests[i]);
      refused += rejection * static_cast<double>(counts.requests[i]);
    }
    RC_ASSERT(std::abs(refused / all - rule.Overall(counts)) < 1e-9);
  });
}

TEST_CASE("counts as large as can be make shares that make sense") {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max() / 4;
  const ThrottleRule rule{.k = 2, .max_rejection = 1, .min_requests = 20};
  const ThrottleCounts none{.requests = {kMost, kMost, kMost, kMost}};
  CHECK(rule.Overall(none) == Approx(1));
  CHECK(rule.Of(Priority::kNormal, none) == Approx(1));
  const ThrottleCounts half{.requests = {kMost, kMost, kMost, kMost}, .accepts = kMost};
  CHECK(rule.Overall(half) == Approx(0.5));
  CHECK(rule.Of(Priority::kLow, half) == Approx(1));
  CHECK(rule.Of(Priority::kCritical, half) == 0);
  const ThrottleRule generous{
      .k = std::numeric_limits<double>::max(), .max_rejection = 1, .min_requests = 0};
  CHECK(generous.Overall(half) == 0);
  CHECK(generous.Overall(none) == Approx(1));
}

// Every event by itself, and the window found by looking at all of them.
class Model {
 public:
  Model(Duration period, std::int64_t buckets, const ThrottleRule& rule)
      : period_(period), buckets_(buckets), rule_(rule) {}

  void Advance(TimePoint now) {
    if (!start_) start_ = now;
    era_ = std::max<std::int64_t>(era_, (now - *start_) / period_);
  }
  void Count(Priority priority, bool accepted, bool refused) {
    events_.push_back({era_, priority, accepted, refused});
  }

  AdaptiveThrottlerStats Stats() const {
    AdaptiveThrottlerStats stats;
    for (const Event& event : events_) {
      if (era_ - event.era >= buckets_) continue;
      ++stats.requests;
      ++stats.requests_of[static_cast<std::size_t>(event.priority)];
      stats.accepts += event.accepted ? 1 : 0;
      stats.refused += event.refused ? 1 : 0;
    }
    if (stats.requests >= rule_.min_requests) {
      stats.rejection = std::min(rule_.max_rejection, Formula(stats, rule_.k));
    }
    for (std::size_t i = 0; i < kPriorities; ++i) stats.rejection_of[i] = RejectionOf(stats, i);
    return stats;
  }

 private:
  struct Event {
    std::int64_t era;
    Priority priority;
    bool accepted;
    bool refused;
  };

  static double RejectionOf(const AdaptiveThrottlerStats& stats, std::size_t priority) {
    const auto all = static_cast<double>(stats.requests);
    double lower = 0;
    for (std::size_t i = 0; i < priority; ++i) lower += static_cast<double>(stats.requests_of[i]);
    if (all == 0 || stats.rejection <= lower / all) return 0;
    if (stats.requests_of[priority] == 0) return 1;
    const double share = static_cast<double>(stats.requests_of[priority]) / all;
    return std::clamp((stats.rejection - lower / all) / share, 0.0, 1.0);
  }

  Duration period_;
  std::int64_t buckets_;
  ThrottleRule rule_;
  std::optional<TimePoint> start_;
  std::int64_t era_ = 0;
  std::vector<Event> events_;
};

// One step is a number: what to do, to which call, and how far time moves.
class Run {
 public:
  explicit Run(const Options& options)
      : throttler_(options),
        model_(options.window / options.buckets, options.buckets,
               {.k = options.k,
                .max_rejection = options.max_rejection,
                .min_requests = static_cast<std::uint64_t>(options.min_requests)}) {}

  void Step(std::uint32_t step) {
    const std::uint32_t what = step % 16;
    const std::uint32_t more = step / 16;
    if (what < 8) {
      // Now and then by who read the clock before others did.
      Admit(what == 0 ? now_ - 700ms : now_, static_cast<Priority>(more % kPriorities));
    } else if (what < 14) {
      End(more);
    } else {
      now_ += what == 14 ? Duration(100ms) * (more % 9) : Duration(1s) * (more % 14);
    }
    if (more % 3 == 0) Compare();
  }

  std::uint64_t refused() const { return refused_; }

 private:
  struct Flight {
    AdaptiveThrottler::Ticket ticket;
    Priority priority;
  };

  void Admit(TimePoint now, Priority priority) {
    model_.Advance(now);
    const double rejection = model_.Stats().rejection_of[static_cast<std::size_t>(priority)];
    auto ticket = throttler_.AdmitAt(now, priority);
    RC_ASSERT((ticket.ok() ? rejection < 1 : rejection > 0));
    if (ticket.ok()) {
      flights_.push_back({*std::move(ticket), priority});
    } else {
      ++refused_;
      model_.Count(priority, false, true);
    }
  }

  // Accepted, not accepted, ignored or dropped; with a time or without.
  void End(std::uint32_t how) {
    if (flights_.empty()) return;
    const auto at = flights_.begin() + static_cast<std::ptrdiff_t>(how / 8 % flights_.size());
    Flight flight = std::move(*at);
    flights_.erase(at);
    switch (how % 8) {
      case 0:
        return;
      case 1:
        return flight.ticket.DoneAt(now_, Outcome::kIgnored);
      case 2:
      case 3:
        model_.Advance(now_);
        model_.Count(flight.priority, true, false);
        return flight.ticket.DoneAt(now_, Outcome::kSuccess);
      case 4:
        model_.Count(flight.priority, true, false);
        return flight.ticket.Done(Outcome::kSuccess);
      default:
        model_.Advance(now_);
        model_.Count(flight.priority, false, false);
        return flight.ticket.DoneAt(now_, Outcome::kFailure);
    }
  }

  void Compare() {
    model_.Advance(now_);
    const AdaptiveThrottlerStats stats = throttler_.StatsAt(now_);
    const AdaptiveThrottlerStats expected = model_.Stats();
    RC_ASSERT(stats.requests_of == expected.requests_of);
    RC_ASSERT(stats.requests == expected.requests);
    RC_ASSERT(stats.accepts == expected.accepts);
    RC_ASSERT(stats.refused == expected.refused);
    RC_ASSERT(std::abs(stats.rejection - expected.rejection) < 1e-9);
    for (std::size_t i = 0; i < kPriorities; ++i) {
      RC_ASSERT(std::abs(stats.rejection_of[i] - expected.rejection_of[i]) < 1e-9);
    }
  }

  AdaptiveThrottler throttler_;
  Model model_;
  std::vector<Flight> flights_;
  TimePoint now_{1000s};
  std::uint64_t refused_ = 0;
};

TEST_CASE("a throttler counts and decides as the model does, whatever is done to it") {
  const Options options = GENERATE(
      Options{.k = 2, .window = 10s, .buckets = 5, .max_rejection = 1, .min_requests = 0},
      Options{.k = 1, .window = 4s, .buckets = 1, .max_rejection = 0.5, .min_requests = 3},
      Options{.k = 1.3, .window = 9s, .buckets = 3, .max_rejection = 0.9, .min_requests = 5},
      Options{.k = 2, .window = 3min, .buckets = 90, .max_rejection = 1, .min_requests = 20});
  std::uint64_t refused = 0;
  test::Property(5, [&] {
    const auto steps = *rc::gen::resize(200, rc::gen::arbitrary<std::vector<std::uint32_t>>());
    Run run(options);
    for (const std::uint32_t step : steps) run.Step(step);
    refused += run.refused();
  });
  CHECK(refused > 100);
}

TEST_CASE("an older time belongs to the present bucket and turns nothing back") {
  Options options = Counting();
  options.window = 10s;
  options.buckets = 10;
  AdaptiveThrottler throttler(options);
  Record(throttler, At(100s), Outcome::kFailure, 1);
  Record(throttler, At(20s), Outcome::kFailure, 2);
  Record(throttler, TimePoint::min(), Outcome::kSuccess, 3);
  CHECK(throttler.StatsAt(At(0s)).requests == 6);
  CHECK(throttler.StatsAt(At(110s - 1ns)).requests == 6);
  CHECK(throttler.StatsAt(At(110s)).requests == 0);
  CHECK(throttler.StatsAt(At(100s)).requests == 0);  // what is forgotten stays so
}

TEST_CASE("no time is too far away") {
  const TimePoint first = GENERATE(TimePoint::min(), At(0s), TimePoint::max() - 1ns);
  AdaptiveThrottler throttler({.max_rejection = 0});
  Record(throttler, first, Outcome::kFailure, 1);
  CHECK(throttler.StatsAt(first).requests == 1);
  Record(throttler, TimePoint::max(), Outcome::kFailure, 1);
  CHECK(throttler.StatsAt(TimePoint::max()).requests == (first > At(0s) ? 2 : 1));
  Record(throttler, TimePoint::min(), Outcome::kSuccess, 1);
  CHECK(throttler.StatsAt(TimePoint::min()).accepts == 1);
}

TEST_CASE("with a seed its decisions are always the same") {
  const auto decisions = [](std::uint64_t seed) {
    AdaptiveThrottler throttler({.min_requests = 0, .seed = seed});
    std::vector<bool> admitted;
    for (int i = 0; i < 200; ++i) {
      admitted.push_back(
          Call(throttler, At(0s), i % 4 == 0 ? Outcome::kSuccess : Outcome::kFailure));
    }
    return admitted;
  };
  CHECK(decisions(1) == decisions(1));
  CHECK(decisions(1) != decisions(2));
}

TEST_CASE("what it refuses is unavailable, and says who refused it") {
  AdaptiveThrottler throttler({.name = "orders", .min_requests = 0, .seed = 1});
  absl::Status refused;
  while (refused.ok()) {
    auto ticket = throttler.AdmitAt(At(0s));
    refused = ticket.status();
    if (ticket.ok()) ticket->DoneAt(At(0s), Outcome::kFailure);
  }
  CHECK(refused.code() == absl::StatusCode::kUnavailable);
  CHECK(refused.message() ==
        "AdaptiveThrottle orders: rejected locally, since the backend rejects too many calls");
  const auto rejection = RejectionOf(refused);
  REQUIRE(rejection);
  CHECK(rejection->kind == RejectionKind::kThrottled);
  CHECK(ToString(rejection->kind) == "throttled");
  CHECK(rejection->policy == "AdaptiveThrottle");
  CHECK(rejection->name == "orders");
}

TEST_CASE("an answer of the backend's was accepted, and trouble was not") {
  const AdaptiveThrottler throttler({});
  using enum absl::StatusCode;
  const auto outcome = [&](absl::StatusCode code) {
    return throttler.Classify(absl::Status(code, "of the backend"));
  };
  for (const auto code :
       {kOk, kUnknown, kInvalidArgument, kNotFound, kAlreadyExists, kPermissionDenied,
        kUnauthenticated, kFailedPrecondition, kOutOfRange, kUnimplemented}) {
    CHECK(outcome(code) == Outcome::kSuccess);
  }
  for (const auto code :
       {kUnavailable, kResourceExhausted, kDeadlineExceeded, kAborted, kInternal, kDataLoss}) {
    CHECK(outcome(code) == Outcome::kFailure);
  }
  CHECK(outcome(kCancelled) == Outcome::kIgnored);
  for (const auto code : {kUnavailable, kInvalidArgument}) {
    CHECK(throttler.Classify(MakeRejection(code, {}, "no")) == Outcome::kIgnored);
  }
}

TEST_CASE("a classifier of one's own is asked instead, and may throw") {
  const AdaptiveThrottler own({.classify = [](const absl::Status& status) {
    if (status.ok()) throw std::runtime_error("what");
    return Outcome::kIgnored;
  }});
  CHECK(own.Classify(absl::UnavailableError("")) == Outcome::kIgnored);
  CHECK_THROWS_WITH(own.Classify(absl::OkStatus()), "what");
}

TEST_CASE("it reads its own clock where it is given no time") {
  testing::FakeClock clock;
  AdaptiveThrottler throttler({.window = 10s, .max_rejection = 0, .clock = &clock});
  throttler.Admit()->Done(Outcome::kSuccess);
  auto ticket = throttler.Admit(Priority::kLow);
  clock.Advance(9s);
  ticket->Done(Outcome::kFailure);
  CHECK(throttler.stats().requests == 2);
  clock.Advance(2s);
  CHECK(throttler.stats().requests == 1);
  CHECK(throttler.stats().requests_of[1] == 1);
}

TEST_CASE("options of a throttler that make no sense are refused") {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto refused = [](const Options& options, const char* what) {
    CHECK(Validate(options).message() == std::string("AdaptiveThrottler t: ") + what);
    CHECK_THROWS_WITH(AdaptiveThrottler(options), std::string("AdaptiveThrottler t: ") + what);
  };
  refused({.name = "t", .k = 0.99}, "k must be >= 1 and finite, not 0.99");
  refused({.name = "t", .k = kNan}, "k must be >= 1 and finite, not nan");
  refused({.name = "t", .k = kInfinity}, "k must be >= 1 and finite, not inf");
  refused({.name = "t", .window = 0s}, "window must be > 0");
  refused({.name = "t", .buckets = 0}, "buckets must be in [1, 10000], not 0");
  refused({.name = "t", .buckets = 10'001}, "buckets must be in [1, 10000], not 10001");
  refused({.name = "t", .max_rejection = 1.1}, "max_rejection must be in [0, 1], not 1.1");
  refused({.name = "t", .max_rejection = kNan}, "max_rejection must be in [0, 1], not nan");
  refused({.name = "t", .min_requests = -1}, "min_requests must be >= 0");
  CHECK(Validate(Options{.k = 1, .window = 1ns, .buckets = 10'000, .max_rejection = 1}).ok());
}

// Meant for TSan as well.

TEST_CASE("threads lose no count, neither while it is calm nor while it is tense") {
  constexpr int kThreads = 8;
  constexpr int kCalls = 50'000;
  const bool tense = GENERATE(false, true);
  Options options = Counting();
  options.window = 1h;
  AdaptiveThrottler throttler(options);
  test::InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kCalls; ++i) {
      auto ticket = throttler.AdmitAt(At(i * 10ms), static_cast<Priority>(thread % 4));
      const bool accepted = tense ? i % 10 == 0 : i % 10 != 0;
      if (ticket.ok()) {
        ticket->DoneAt(At(i * 10ms), accepted ? Outcome::kSuccess : Outcome::kFailure);
      }
    }
  });
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(0s));
  constexpr std::uint64_t kAll = std::uint64_t{kThreads} * kCalls;
  CHECK(stats.requests == kAll);
  CHECK(stats.requests_of ==
        std::array<std::uint64_t, kPriorities>{kAll / 4, kAll / 4, kAll / 4, kAll / 4});
  CHECK(stats.accepts == kAll / 10 * (tense ? 1 : 9));
}

TEST_CASE("threads whose calls are refused lose no count, and calm is not taken for trouble") {
  constexpr int kThreads = 4;
  constexpr int kCalls = 50'000;
  AdaptiveThrottler throttler({.window = 1h, .min_requests = 0});
  std::array<std::uint64_t, kThreads> refused{};
  test::InThreads(kThreads, [&](int thread) {
    std::uint64_t mine = 0;
    for (int i = 0; i < kCalls; ++i) {
      auto ticket = throttler.AdmitAt(At(0s));
      // Long stretches of either, so that it goes from calm to tense and back.
      const bool accepted = i / 1000 % 4 == 0;
      if (ticket.ok()) {
        ticket->DoneAt(At(0s), accepted ? Outcome::kSuccess : Outcome::kFailure);
      } else {
        ++mine;
      }
    }
    refused[static_cast<std::size_t>(thread)] = mine;
  });
  const AdaptiveThrottlerStats stats = throttler.StatsAt(At(0s));
  CHECK(stats.requests == std::uint64_t{kThreads} * kCalls);
  CHECK(stats.refused == std::accumulate(refused.begin(), refused.end(), std::uint64_t{0}));
  CHECK(stats.refused > 0);
  CHECK(stats.rejection == Approx(std::min(0.9, Formula(stats, 2))));
}

TEST_CASE("that the calm has ended is not missed while another thread finds it calm again") {
  for (int round = 0; round < 2000; ++round) {
    AdaptiveThrottler throttler(Pure());
    auto accepted = throttler.AdmitAt(At(0s));
    auto failed = throttler.AdmitAt(At(0s));
    Record(throttler, At(0s), Outcome::kFailure, 1);
    // With the accept alone it would be calm.
    test::InThreads(2, [&](int thread) {
      if (thread == 0) accepted->DoneAt(At(0s), Outcome::kSuccess);
      if (thread == 1) failed->DoneAt(At(0s), Outcome::kFailure);
    });
    // P is 1 / 4, which is all spent on the first call of a lower priority.
    REQUIRE_FALSE(throttler.AdmitAt(At(0s), Priority::kSheddable).ok());
  }
}

}  // namespace
}  // namespace holdfast::adaptive_throttler_test
