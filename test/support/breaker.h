// What the tests of circuit breakers have in common.
#ifndef HOLDFAST_TEST_SUPPORT_BREAKER_H_
#define HOLDFAST_TEST_SUPPORT_BREAKER_H_

#include <absl/status/statusor.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "test/support/catch.h"

namespace holdfast::test {

constexpr TimePoint At(Duration since_start) { return TimePoint{since_start}; }

// Calls that are admitted and end at once.
inline void Record(CircuitBreaker& breaker, TimePoint now, Outcome outcome, int times = 1) {
  for (int i = 0; i < times; ++i) {
    auto ticket = breaker.AdmitAt(now);
    REQUIRE(ticket.ok());
    ticket->DoneAt(now, outcome);
  }
}

// A call that is admitted and takes that long.
inline void RecordSlow(CircuitBreaker& breaker, TimePoint start, Duration took, Outcome outcome) {
  auto ticket = breaker.AdmitAt(start);
  REQUIRE(ticket.ok());
  ticket->DoneAt(start + took, outcome);
}

// Trips on the first failure.
inline CircuitBreaker::Options Touchy() {
  return {.timeout = std::chrono::seconds(10),
          .ready_to_trip = [](const BreakerCounts&) { return true; }};
}

inline bool Never(const BreakerCounts&) { return false; }

// For on_state_change: what it was told.
class Changes {
 public:
  auto Listener() {
    return [this](std::string_view, BreakerState from, BreakerState to) {
      told_.emplace_back(from, to);
    };
  }
  // What it went to, since the last time.
  std::vector<BreakerState> Take() {
    std::vector<BreakerState> states;
    for (const auto& [from, to] : std::exchange(told_, {})) states.push_back(to);
    return states;
  }
  // Whether each began where the one before ended, from closed to `last`.
  bool LeadTo(BreakerState last) const {
    BreakerState state = BreakerState::kClosed;
    for (const auto& [from, to] : told_) {
      if (from != state || from == to) return false;
      state = to;
    }
    return state == last;
  }

 private:
  std::vector<std::pair<BreakerState, BreakerState>> told_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_BREAKER_H_
