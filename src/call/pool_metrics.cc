#include "holdfast/call/internal/collect_pool.h"

namespace holdfast::internal {
namespace {

constexpr Metric kPoolThreads = {.name = "holdfast.pool.threads",
                                 .type = MetricType::kGauge,
                                 .unit = "{thread}",
                                 .help = "Threads that the pool has started"};
constexpr Metric kPoolQueued = {.name = "holdfast.pool.queued",
                                .type = MetricType::kGauge,
                                .unit = "{task}",
                                .help = "Tasks that wait for a thread"};
constexpr Metric kPoolRefusals = {.name = "holdfast.pool.refusals",
                                  .type = MetricType::kCounter,
                                  .unit = "{task}",
                                  .help = "Tasks that the pool refused"};

}  // namespace

void CollectPool(const ThreadPool& pool, Collector& collector) {
  collector.Gauge(kPoolThreads, static_cast<double>(pool.threads()));
  collector.Gauge(kPoolQueued, static_cast<double>(pool.queued()));
  collector.Count(kPoolRefusals, pool.refused());
}

}  // namespace holdfast::internal
