// Puts what objects tell together into a snapshot.
#ifndef HOLDFAST_SRC_METRICS_GATHER_H_
#define HOLDFAST_SRC_METRICS_GATHER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/metrics/metrics_snapshot.h"
#include "src/metrics/object_series.h"

namespace holdfast::internal {

// One snapshot in the making; used by one thread. Its first series is holdfast.metrics.overflow.
class Gathering {
 public:
  // `since`: when the counter of what is left out began.
  Gathering(std::size_t max_series, std::chrono::system_clock::time_point since);

  // Takes what an object told, or leaves it out if that is more than there is room for.
  void Take(std::vector<ToldSeries> told, std::chrono::system_clock::time_point since);

  // Series so far that Take got and left out.
  std::uint64_t left_out() const { return left_out_; }

  // Ends it. `overflow` is the value of holdfast.metrics.overflow.
  MetricsSnapshot Snapshot(std::chrono::system_clock::time_point time, std::uint64_t overflow) &&;

 private:
  struct Family {
    MetricFamily family;
    std::set<std::vector<std::string>> values;  // of all its series
  };

  // False, and no change, for a series that no backend would take.
  bool TakeOne(ToldSeries& told, std::chrono::system_clock::time_point since);

  bool HasMetric(std::string_view name) const;

  std::size_t room_;
  std::uint64_t left_out_ = 0;
  std::map<std::string, Family> families_;  // by their Prometheus names
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_GATHER_H_
