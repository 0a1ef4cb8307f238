// Two breakers to which the same is done: one is collected all the time, and nobody can tell.
#include <absl/status/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/trip_rule.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/collected.h"

namespace holdfast::breaker_look_test {
namespace {

using namespace std::chrono_literals;
using test::Collected;
using Options = CircuitBreaker::Options;

constexpr std::array kOutcomes = {Outcome::kSuccess, Outcome::kFailure, Outcome::kIgnored};

std::vector<Options> AllWindows() {
  std::vector<Options> all = {
      {.max_requests = 2},
      {.max_requests = 2, .interval = 5s},
      {.interval = 6s, .bucket_period = 2s, .ramp = {0.25, 0.5}, .ramp_step = 3s},
      {.max_requests = 3, .last_calls = 4},
      {.max_requests = 2,
       .interval = 6s,
       .bucket_period = 1s,
       .rules = {SlowCallRate(1, 1000)},
       .slow_call = 2s},
      {.last_calls = 10, .ramp = {1}, .rules = {SlowCallRate(0.9, 6)}, .slow_call = 1s},
  };
  for (Options& options : all) {
    options.timeout = 4s;
    options.rules.push_back(ConsecutiveFailures(3));
  }
  return all;
}

// A breaker, its calls, and everything that it answers or tells.
class Scene {
 public:
  explicit Scene(Options options) : breaker_(With(std::move(options))) {}

  void Do(std::uint32_t what, std::uint32_t more) {
    if (what < 5) {
      auto ticket = breaker_.Admit();
      Note(ticket.ok() ? "admits" : "refuses");
      if (ticket.ok()) {
        calls_.push_back(*std::move(ticket));
      } else {
        ++refused;
      }
    } else if (what < 10) {
      End(more);
    } else if (what < 13) {
      clock_.Advance(more % 20 * 100ms);
    } else if (what == 13) {
      clock_.Advance(more % 8 * 1s);
    } else if (what == 14) {
      Note(std::string(ToString(breaker_.state())));
    } else if (more % 5 == 0) {
      constexpr std::array kModes = {BreakerMode::kForcedOpen, BreakerMode::kForcedClosed};
      breaker_.SetMode(kModes.at(more / 5 % 2));
      breaker_.SetMode(BreakerMode::kAutomatic);
    } else if (more % 5 == 1) {
      breaker_.Reset();
    }
  }

  const CircuitBreaker& breaker() const { return breaker_; }
  BreakerState state() { return breaker_.state(); }
  BreakerCounts counts() { return breaker_.counts(); }
  // Since the last time.
  std::vector<std::string> TakeNotes() { return std::exchange(notes_, {}); }

  std::array<std::uint64_t, 3> ended{};
  std::uint64_t refused = 0;
  std::uint64_t changes = 0;

 private:
  Options With(Options options) {
    options.clock = &clock_;
    options.on_state_change = [this](std::string_view, BreakerState, BreakerState to) {
      ++changes;
      Note("is " + std::string(ToString(to)));
    };
    options.open_time = [this](std::uint64_t openings) {
      Note("opening " + std::to_string(openings));
      return TimeSpan(4s);
    };
    options.ready_to_trip = [this](const BreakerCounts& counts) {
      Note("asks " + std::to_string(counts.requests) + " " + std::to_string(counts.failures));
      return false;
    };
    return options;
  }

  void End(std::uint32_t how) {
    if (calls_.empty()) return;
    const auto at = calls_.begin() + static_cast<std::ptrdiff_t>(how / 8 % calls_.size());
    Ticket ticket = std::move(*at);
    calls_.erase(at);
    const std::size_t which = how % 8 < 5 ? 0 : how % 8 < 7 ? 1 : 2;
    ++ended.at(which);
    if (which == 2) return;  // dropped
    ticket.Done(kOutcomes.at(which));
  }

  void Note(std::string note) { notes_.push_back(std::move(note)); }

  testing::FakeClock clock_;
  std::vector<std::string> notes_;
  CircuitBreaker breaker_;
  std::deque<Ticket> calls_;
};

double SumOf(const Collected& collected, std::string_view name) {
  double sum = 0;
  for (const auto& [series, value] : collected.all()) {
    if (series.first == name) sum += value;
  }
  return sum;
}

TEST_CASE("a collector changes nothing, and the totals are what the tickets reported") {
  const Options options = GENERATE(from_range(AllWindows()));
  std::mt19937 random(7);
  std::uint64_t refused = 0;
  std::uint64_t changes = 0;
  for (int run = 0; run < 8; ++run) {
    Scene looked(options);
    Scene plain(options);
    for (int step = 0; step < 300; ++step) {
      const auto what = static_cast<std::uint32_t>(random() % 16);
      const auto more = static_cast<std::uint32_t>(random() % 10'000);
      looked.Do(what, more);
      plain.Do(what, more);
      const int looks = run == 0 && step == 150 ? 1000 : 1;
      Collected collected;
      for (int i = 0; i < looks; ++i) looked.breaker().Collect(collected);
      REQUIRE(looked.TakeNotes() == plain.TakeNotes());
      if (more % 7 != 0) continue;
      REQUIRE(looked.state() == plain.state());  // so that no change is due
      looked.breaker().Collect(collected);
      const BreakerCounts counts = looked.counts();
      REQUIRE(counts == plain.counts());
      REQUIRE(collected.at("holdfast.breaker.failure_ratio") == counts.failure_rate());
      REQUIRE(collected.at("holdfast.breaker.slow_ratio") == counts.slow_rate());
    }
    Collected collected;
    looked.breaker().Collect(collected);
    constexpr std::array kNames = {"success", "failure", "ignored"};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      CHECK(
          collected.at("holdfast.breaker.calls", std::string("holdfast.outcome=") + kNames.at(i)) ==
          static_cast<double>(looked.ended.at(i)));
    }
    CHECK(SumOf(collected, "holdfast.breaker.refusals") == static_cast<double>(looked.refused));
    CHECK(SumOf(collected, "holdfast.breaker.transitions") == static_cast<double>(looked.changes));
    refused += looked.refused;
    changes += looked.changes;
  }
  CHECK(refused > 20);
  CHECK(changes > 20);
}

}  // namespace
}  // namespace holdfast::breaker_look_test
