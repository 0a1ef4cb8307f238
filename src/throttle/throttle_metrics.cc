// What an AdaptiveThrottler tells a Collector.
#include <cstddef>

#include "holdfast/throttle/adaptive_throttler.h"
#include "src/call/metric_names.h"

namespace holdfast {
namespace {

constexpr Metric kThrottleRequests = {.name = "holdfast.adaptive_throttle.requests",
                                      .type = MetricType::kCounter,
                                      .unit = "{call}",
                                      .help = "Calls, including those that the throttle refused"};
constexpr Metric kThrottleAccepts = {.name = "holdfast.adaptive_throttle.accepts",
                                     .type = MetricType::kCounter,
                                     .unit = "{call}",
                                     .help = "Calls that the service accepted"};
constexpr Metric kThrottleRefusals = {.name = "holdfast.adaptive_throttle.refusals",
                                      .type = MetricType::kCounter,
                                      .unit = "{call}",
                                      .help = "Calls that the throttle refused"};
constexpr Metric kRejectionRatio = {.name = "holdfast.adaptive_throttle.rejection_ratio",
                                    .type = MetricType::kGauge,
                                    .unit = "1",
                                    .help = "The share of calls that the throttle refuses now"};

}  // namespace

void AdaptiveThrottler::Collect(Collector& collector) const {
  const internal::ThrottleTotals totals = window_.Totals();
  const AdaptiveThrottlerStats stats = LookAt(Now());
  for (std::size_t i = 0; i < kPriorities; ++i) {
    const Attribute priority = {internal::attribute::kPriority, ToString(static_cast<Priority>(i))};
    collector.Count(kThrottleRequests, totals.Requests(i), {priority});
    collector.Count(kThrottleAccepts, totals.accepted[i], {priority});
    collector.Count(kThrottleRefusals, totals.refused[i], {priority});
    collector.Gauge(kRejectionRatio, stats.rejection_of[i], {priority});
  }
}

}  // namespace holdfast
