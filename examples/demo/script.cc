#include "script.h"

#include <algorithm>
#include <chrono>

namespace demo {
namespace {

using namespace std::chrono_literals;

// Of all requests outside of the outage.
constexpr double kUnavailable = 0.20;
constexpr double kDropped = 0.04;
constexpr double kSpike = 0.05;
// Of the 503s.
constexpr double kWithRetryAfter = 0.25;

Window OutageIn(holdfast::Duration span) {
  const holdfast::Duration length = std::min<holdfast::Duration>(3s, span / 4);
  return {.begin = span * 2 / 5, .end = span * 2 / 5 + length};
}

}  // namespace

Script::Script(std::uint64_t seed, holdfast::Duration span)
    : outage_(OutageIn(span)), random_(seed) {}

Fate Script::Next(holdfast::Duration elapsed) {
  std::lock_guard lock(mutex_);
  // Always three draws, so that the outage does not shift what comes after it.
  std::uniform_real_distribution<double> unit;
  const double kind = unit(random_);
  const double detail = unit(random_);
  const double speed = unit(random_);
  if (outage_.Contains(elapsed)) {
    return {.kind = kind < 0.5 ? Fate::Kind::kUnavailable : Fate::Kind::kDrop, .latency = 1ms};
  }
  const auto latency = std::chrono::duration_cast<holdfast::Duration>(5ms + speed * 20ms);
  if (kind < kUnavailable) {
    return {.kind = detail < kWithRetryAfter ? Fate::Kind::kUnavailableRetryAfter
                                             : Fate::Kind::kUnavailable,
            .latency = latency};
  }
  if (kind < kUnavailable + kDropped) return {.kind = Fate::Kind::kDrop, .latency = latency};
  if (detail < kSpike) {
    return {.latency = std::chrono::duration_cast<holdfast::Duration>(400ms + speed * 800ms)};
  }
  return {.latency = latency};
}

}  // namespace demo
