// What a registry of metrics is told of a ResultCache.
#include <cstdint>
#include <mutex>
#include <string_view>

#include "holdfast/cache/internal/cache_table.h"
#include "src/call/metric_names.h"

namespace holdfast::internal {
namespace {

constexpr Metric kCacheLookups = {.name = "holdfast.cache.lookups",
                                  .type = MetricType::kCounter,
                                  .unit = "{lookup}",
                                  .help = "Lookups, by what they found"};
constexpr Metric kCacheEvictions = {.name = "holdfast.cache.evictions",
                                    .type = MetricType::kCounter,
                                    .unit = "{entry}",
                                    .help = "Entries that made room for others"};
constexpr Metric kCacheEntries = {.name = "holdfast.cache.entries",
                                  .type = MetricType::kGauge,
                                  .unit = "{entry}",
                                  .help = "Entries in the cache"};
constexpr Metric kCacheSize = {.name = "holdfast.cache.size",
                               .type = MetricType::kGauge,
                               .unit = "By",
                               .help = "Size of all entries and their keys"};

}  // namespace

void CacheTable::Collect(Collector& collector) const {
  const CacheStats stats = [this] {
    const std::lock_guard lock(mutex_);
    return LookupsLocked();
  }();
  const auto count_lookups = [&collector](std::string_view result, std::int64_t lookups) {
    collector.Count(kCacheLookups, static_cast<std::uint64_t>(lookups),
                    {{.key = attribute::kResult, .value = result}});
  };
  count_lookups("hit", stats.hits);
  count_lookups("stale", stats.stale);
  count_lookups("shared", stats.shared);
  count_lookups("miss", stats.misses);
  collector.Count(kCacheEvictions, static_cast<std::uint64_t>(stats.evicted));
  collector.Gauge(kCacheEntries, static_cast<double>(stats.entries));
  collector.Gauge(kCacheSize, static_cast<double>(stats.bytes));
}

}  // namespace holdfast::internal
