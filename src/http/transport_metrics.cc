// What a transport tells a collector.
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

#include "src/http/pool.h"

namespace holdfast::http::internal {
namespace {

using PoolOfProcess = holdfast::internal::PerProcess<Pool>;

constexpr Metric kOpenConnections = {.name = "http.client.open_connections",
                                     .type = MetricType::kUpDownCounter,
                                     .unit = "{connection}",
                                     .help = "Connections that are in use, and that are idle"};
constexpr Metric kOpened = {.name = "holdfast.connections.opened",
                            .type = MetricType::kCounter,
                            .unit = "{connection}",
                            .help = "Connections that were opened, TLS included"};
constexpr Metric kReused = {.name = "holdfast.connections.reused",
                            .type = MetricType::kCounter,
                            .unit = "{connection}",
                            .help = "Connections that an exchange took from an earlier one"};
constexpr Metric kQueued = {.name = "holdfast.connections.queued",
                            .type = MetricType::kGauge,
                            .unit = "{call}",
                            .help = "Calls that wait for a connection"};

const std::shared_ptr<Pool>& PoolOf(const void* of_process) {
  return static_cast<const PoolOfProcess*>(of_process)->Get();
}

}  // namespace

void Pool::Collect(Collector& collector) const {
  std::unique_lock lock(mutex_);
  const auto idle = static_cast<std::int64_t>(idle_.size());
  // Those that are idle are among them.
  const std::int64_t open = counts_.open.load(std::memory_order_relaxed);
  lock.unlock();
  const Attribute address = {.key = "server.address", .value = meter_.address()};
  const Attribute port = {.key = "server.port", .value = meter_.port()};
  constexpr std::string_view kState = "http.connection.state";
  collector.Gauge(kOpenConnections, static_cast<double>(open - idle),
                  {{.key = kState, .value = "active"}, address, port});
  collector.Gauge(kOpenConnections, static_cast<double>(idle),
                  {{.key = kState, .value = "idle"}, address, port});
  const auto count = [&](const Metric& metric, const std::atomic<std::int64_t>& counter) {
    const std::int64_t total = counter.load(std::memory_order_relaxed);
    collector.Count(metric, static_cast<std::uint64_t>(total), {address, port});
  };
  count(kOpened, counts_.opened);
  count(kReused, counts_.reused);
  collector.Gauge(kQueued, static_cast<double>(open_.queued()), {address, port});
  meter_.Collect(collector);
}

CollectedObject CollectedPool(const std::shared_ptr<PoolOfProcess>& pool, std::string_view kind) {
  return {.object = pool,
          .kind = kind,
          .name = [](const void* o) { return PoolOf(o)->meter().name(); },
          .collect = [](const void* o, Collector& collector) { PoolOf(o)->Collect(collector); },
          .time = [](const void* o) { PoolOf(o)->meter().Time(); }};
}

}  // namespace holdfast::http::internal
