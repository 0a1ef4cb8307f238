#include "recovery.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "scenarios.h"

namespace storm {

using holdfast::Duration;
using holdfast::testing::Moment;
using holdfast::testing::Results;

std::optional<Duration> UntilMostSucceed(const Results& results, Duration fault_end) {
  constexpr std::size_t kAveraged = 5;  // buckets
  std::optional<Duration> since;
  const std::vector<Moment>& timeline = results.timeline;
  for (std::size_t i = static_cast<std::size_t>(fault_end / results.bucket);
       i + kAveraged <= timeline.size(); ++i) {
    std::int64_t calls = 0;
    std::int64_t successes = 0;
    for (std::size_t j = i; j < i + kAveraged; ++j) {
      calls += timeline[j].calls;
      successes += timeline[j].successes;
    }
    if (10 * successes < 9 * calls) {
      since.reset();
    } else if (!since) {
      since = static_cast<std::int64_t>(i) * results.bucket - fault_end;
    }
  }
  return since;
}

std::optional<Duration> UntilMostAreConnected(const Results& results, Duration fault_end) {
  std::int64_t connected = 0;
  for (std::size_t i = 0; i < results.timeline.size(); ++i) {
    connected += results.timeline[i].successes;
    if (results.calls > 0 && 100 * connected >= 99 * results.calls) {
      const Duration end = static_cast<std::int64_t>(i + 1) * results.bucket;
      return std::max(end - fault_end, Duration::zero());
    }
  }
  return std::nullopt;
}

double Outcome::PeakAfter() const {
  std::int64_t most = 0;
  for (std::size_t i = 0; i < results.timeline.size(); ++i) {
    const Duration begin = static_cast<std::int64_t>(i) * results.bucket;
    if (begin >= disturbance.to) most = std::max(most, results.timeline[i].attempts);
  }
  return static_cast<double>(most) / std::chrono::duration<double>(results.bucket).count();
}

}  // namespace storm
