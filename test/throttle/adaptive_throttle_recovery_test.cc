// How long a throttler takes to find out that its backend is back: what its header says for each K.
#include <algorithm>
#include <chrono>
#include <cstdint>

#include "holdfast/throttle/adaptive_throttler.h"
#include "test/support/catch.h"

namespace holdfast::adaptive_throttle_recovery_test {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWindow = 60s;
constexpr int kCallsPerSecond = 50;

// Windows from the end of an outage of three windows until nine of ten calls of ten seconds pass,
// and go on to do so.
double WindowsToRecover(double k, std::uint64_t seed) {
  AdaptiveThrottler throttler({.k = k, .window = kWindow, .seed = seed});
  constexpr Duration kOutageEnds = 4 * kWindow;
  const auto second = [&](Duration at) {
    int passed = 0;
    for (int i = 0; i < kCallsPerSecond; ++i) {
      const TimePoint now{at + i * (Duration(1s) / kCallsPerSecond)};
      auto ticket = throttler.AdmitAt(now);
      if (!ticket.ok()) continue;
      ticket->DoneAt(now,
                     at >= kWindow && at < kOutageEnds ? Outcome::kFailure : Outcome::kSuccess);
      ++passed;
    }
    return passed;
  };
  Duration at{0};
  for (; at < kOutageEnds; at += 1s) second(at);
  Duration recovered = kOutageEnds;
  for (; at < kOutageEnds + 20 * kWindow; at += 10s) {
    int passed = 0;
    for (Duration in{0}; in < 10s; in += 1s) passed += second(at + in);
    if (10 * passed < 9 * 10 * kCallsPerSecond) recovered = at + 10s;
  }
  return static_cast<double>((recovered - kOutageEnds).count()) /
         static_cast<double>(kWindow.count());
}

TEST_CASE("a throttler recovers in as many windows as its header says for its K") {
  struct Row {
    double k;
    double windows;
  };
  double before = 0;
  for (const auto& [k, windows] :
       {Row{3, 1.5}, Row{2, 2}, Row{1.5, 3.5}, Row{1.2, 7}, Row{1.1, 14}}) {
    double longest = 0;
    for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
      longest = std::max(longest, WindowsToRecover(k, seed));
    }
    CAPTURE(k, longest);
    CHECK(longest <= windows);
    CHECK(longest > before);  // so that the table says no more than it must
    before = longest;
  }
}

}  // namespace
}  // namespace holdfast::adaptive_throttle_recovery_test
