// What a registry of metrics is told of latencies, and of limits that change.
#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "holdfast/timeout/adaptive_timeout.h"
#include "holdfast/timeout/latency_quantile.h"
#include "holdfast/timeout/timeout.h"
#include "src/call/metric_names.h"

namespace holdfast {
namespace {

constexpr Metric kQuantileValue = {
    .name = "holdfast.latency_quantile.value",
    .type = MetricType::kGauge,
    .unit = "s",
    .help = "Latency that this fraction of recent calls stayed within"};
constexpr Metric kTimeoutLimit = {.name = "holdfast.timeout.limit",
                                  .type = MetricType::kGauge,
                                  .unit = "s",
                                  .help = "Time that a call or an attempt gets at present"};

}  // namespace

void LatencyQuantile::Collect(Collector& collector) const {
  const Duration value = Look(Now());
  if (value == kNoValue) return;
  // The shortest decimal that is this number.
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), quantile()).ptr;
  collector.Gauge(
      kQuantileValue, internal::InSeconds(value),
      {{.key = internal::attribute::kQuantile, .value = std::string_view(text.data(), end)}});
}

namespace internal {

void LearnedLimit::Collect(Collector& collector) const {
  const Duration latency = latencies_->Look(latencies_->Now());
  const auto options = options_.Read();
  const Duration limit = std::max(Learned(latency, *options),
                                  Raised(backoff_.load(std::memory_order_relaxed), *options));
  collector.Gauge(kTimeoutLimit, InSeconds(limit));
}

void CollectLimit(const Settings<TimeoutOptions>& settings, Collector& collector) {
  collector.Gauge(kTimeoutLimit, InSeconds(settings.options().limit));
}

}  // namespace internal
}  // namespace holdfast
