#include "src/metrics_http/otlp_push_counts.h"

namespace holdfast::internal {
namespace {

constexpr Metric kPushes = {.name = "holdfast.otlp_push.pushes",
                            .type = MetricType::kCounter,
                            .unit = "{push}",
                            .help = "Pushes that ended"};
constexpr Metric kRejectedPoints = {.name = "holdfast.otlp_push.rejected_points",
                                    .type = MetricType::kCounter,
                                    .unit = "{data_point}",
                                    .help = "Data points that the receiver rejected"};

}  // namespace

void OtlpPushCounts::Add(const OtlpPushResult& result) {
  auto& count = result.status.ok()                 ? successes_
                : result.rejected_points > 0       ? partial_
                : absl::IsCancelled(result.status) ? cancelled_
                                                   : failures_;
  count.fetch_add(1, std::memory_order_relaxed);
  rejected_points_.fetch_add(static_cast<std::uint64_t>(result.rejected_points),
                             std::memory_order_relaxed);
}

void OtlpPushCounts::Collect(Collector& collector) const {
  const auto tell = [&collector](std::string_view outcome,
                                 const std::atomic<std::uint64_t>& count) {
    collector.Count(kPushes, count.load(std::memory_order_relaxed),
                    {{"holdfast.outcome", outcome}});
  };
  tell("success", successes_);
  tell("partial", partial_);
  tell("failure", failures_);
  tell("cancelled", cancelled_);
  collector.Count(kRejectedPoints, rejected_points_.load(std::memory_order_relaxed));
}

}  // namespace holdfast::internal
