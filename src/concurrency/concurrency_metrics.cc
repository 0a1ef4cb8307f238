// What Semaphore and AdaptiveLimiter tell a Collector.
#include <atomic>
#include <cstdint>

#include "holdfast/concurrency/adaptive_limiter.h"
#include "holdfast/concurrency/semaphore.h"
#include "src/call/metric_names.h"

namespace holdfast {
namespace internal {

// Those of a Semaphore, under the name of the policy that it is for.
struct PermitMetrics {
  Metric limit;
  Metric in_use;
  Metric queued;
  Metric refusals;
};

}  // namespace internal

namespace {

constexpr internal::PermitMetrics kBulkhead = {
    .limit = {.name = "holdfast.bulkhead.limit",
              .type = MetricType::kGauge,
              .unit = "{permit}",
              .help = "The most permits in use at once"},
    .in_use = {.name = "holdfast.bulkhead.in_use",
               .type = MetricType::kGauge,
               .unit = "{permit}",
               .help = "Permits in use"},
    .queued = {.name = "holdfast.bulkhead.queued",
               .type = MetricType::kGauge,
               .unit = "{call}",
               .help = "Calls that wait for a permit"},
    .refusals = {.name = "holdfast.bulkhead.refusals",
                 .type = MetricType::kCounter,
                 .unit = "{call}",
                 .help = "Calls that got no permit"},
};

constexpr internal::PermitMetrics kAdaptiveLimit = {
    .limit = {.name = "holdfast.adaptive_limit.limit",
              .type = MetricType::kGauge,
              .unit = "{call}",
              .help = "The present limit of concurrent calls"},
    .in_use = {.name = "holdfast.adaptive_limit.in_use",
               .type = MetricType::kGauge,
               .unit = "{call}",
               .help = "Calls in flight"},
    .queued = {.name = "holdfast.adaptive_limit.queued",
               .type = MetricType::kGauge,
               .unit = "{call}",
               .help = "Calls that wait to be admitted"},
    .refusals = {.name = "holdfast.adaptive_limit.refusals",
                 .type = MetricType::kCounter,
                 .unit = "{call}",
                 .help = "Calls that were not admitted"},
};

constexpr Metric kNoLoadLatency = {.name = "holdfast.adaptive_limit.no_load_latency",
                                   .type = MetricType::kGauge,
                                   .unit = "s",
                                   .help = "The latency that the service has without load"};
constexpr Metric kChanges = {.name = "holdfast.adaptive_limit.changes",
                             .type = MetricType::kCounter,
                             .unit = "{change}",
                             .help = "Changes of the limit"};

}  // namespace

void Semaphore::Collect(Collector& collector) const { CollectAs(kBulkhead, collector); }

void Semaphore::CollectAs(const internal::PermitMetrics& metrics, Collector& collector) const {
  const std::uint64_t word = word_.load(std::memory_order_acquire);
  collector.Gauge(metrics.limit, static_cast<double>(Limit(word)));
  collector.Gauge(metrics.in_use, static_cast<double>(InUse(word)));
  collector.Gauge(metrics.queued, static_cast<double>(queued()));
  refused_.Collect(metrics.refusals, collector);
}

void AdaptiveLimiter::Collect(Collector& collector) const {
  namespace attribute = internal::attribute;
  semaphore_.CollectAs(kAdaptiveLimit, collector);
  if (const double latency = no_load_latency_.load(std::memory_order_relaxed); latency > 0) {
    collector.Gauge(kNoLoadLatency, latency / 1e9);
  }
  collector.Count(kChanges, raised_.load(std::memory_order_relaxed),
                  {{attribute::kDirection, "up"}});
  collector.Count(kChanges, lowered_.load(std::memory_order_relaxed),
                  {{attribute::kDirection, "down"}});
}

}  // namespace holdfast
