// Counts which keys are refused most, in a bounded amount of memory.
#ifndef HOLDFAST_SRC_METRICS_WORST_KEYS_H_
#define HOLDFAST_SRC_METRICS_WORST_KEYS_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/call/observer.h"
#include "holdfast/metrics/recent_events.h"

namespace holdfast::internal {

// Space-Saving: a key that has no counter takes the one that counts least, and goes on from its
// count, by which it may then be too great. One thread at a time.
class WorstKeyCounters {
 public:
  explicit WorstKeyCounters(std::size_t counters) : most_(counters) {}

  // A refusal of a call that has a key.
  void Add(const Event& event, std::chrono::system_clock::time_point now);

  // The first `n` of them, the worst first.
  std::vector<WorstKey> Worst(std::size_t n) const;

 private:
  struct Counter {
    std::size_t hash;  // of the whole texts, which are cut
    WorstKey key;
  };

  const std::size_t most_;
  std::vector<Counter> counters_;
};

inline constexpr std::size_t kMostOfEventText = 128;  // bytes

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_WORST_KEYS_H_
