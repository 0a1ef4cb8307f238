#include "holdfast/concurrency/internal/permit_refusals.h"

#include <string_view>

#include "src/call/metric_names.h"

namespace holdfast::internal {
namespace {

std::string_view ToString(PermitRefusal why) {
  switch (why) {
    case PermitRefusal::kFull:
      return "full";
    case PermitRefusal::kQueueFull:
      return "queue_full";
    case PermitRefusal::kGaveWay:
      return "gave_way";
    case PermitRefusal::kMaxWait:
      return "max_wait";
    case PermitRefusal::kDeadline:
      return "deadline";
    case PermitRefusal::kCancelled:
      return "cancelled";
    case PermitRefusal::kExceedsCapacity:
      return "exceeds_capacity";
  }
  return "other";
}

}  // namespace

std::uint64_t PermitRefusals::Sum(PermitRefusal why, Priority priority) const {
  const auto p = static_cast<std::size_t>(priority);
  if (why == PermitRefusal::kFull) return full_.Sum(p);
  return others_[static_cast<std::size_t>(why) - 1][p].load(std::memory_order_relaxed);
}

void PermitRefusals::Collect(const Metric& metric, Collector& collector) const {
  for (std::size_t r = 0; r < kReasons; ++r) {
    for (std::size_t p = 0; p < kPriorities; ++p) {
      const auto why = static_cast<PermitRefusal>(r);
      const auto priority = static_cast<Priority>(p);
      collector.Count(metric, Sum(why, priority),
                      {{attribute::kReason, ToString(why)},
                       {attribute::kPriority, holdfast::ToString(priority)}});
    }
  }
}

}  // namespace holdfast::internal
