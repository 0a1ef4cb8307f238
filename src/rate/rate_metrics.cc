// What the objects of this family tell a registry of metrics.
#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "holdfast/call/collector.h"
#include "holdfast/rate/internal/limit_totals.h"
#include "holdfast/rate/keyed_token_bucket.h"
#include "holdfast/rate/pacer.h"
#include "holdfast/rate/token_bucket.h"
#include "src/call/metric_names.h"
#include "src/rate/keyed_shard.h"

namespace holdfast {
namespace {

using internal::ChargeTotals;
using internal::CountedRefusals;

constexpr Metric kLimitRate = {.name = "holdfast.rate_limit.rate",
                               .type = MetricType::kGauge,
                               .unit = "{token}/s",
                               .help = "Tokens per second, +Inf for no limit"};
constexpr Metric kLimitBurst = {.name = "holdfast.rate_limit.burst",
                                .type = MetricType::kGauge,
                                .unit = "{token}",
                                .help = "Tokens that can be there at once"};
constexpr Metric kLimitTokens = {
    .name = "holdfast.rate_limit.tokens",
    .type = MetricType::kGauge,
    .unit = "{token}",
    .help = "Tokens that are there, less those promised; negative in debt"};
constexpr Metric kLimitRefusals = {.name = "holdfast.rate_limit.refusals",
                                   .type = MetricType::kCounter,
                                   .unit = "{call}",
                                   .help = "Calls that were refused"};
constexpr Metric kLimitCharged = {.name = "holdfast.rate_limit.charged",
                                  .type = MetricType::kCounter,
                                  .unit = "{token}",
                                  .help = "Tokens that were charged after a call"};
constexpr Metric kLimitRefunded = {.name = "holdfast.rate_limit.refunded",
                                   .type = MetricType::kCounter,
                                   .unit = "{token}",
                                   .help = "Tokens that were refunded after a call"};

constexpr std::string_view kKindOfKeys = "rate_limit";

// The kinds of the rejections that say so.
struct NamedReason {
  CountedRefusals::Reason reason;
  std::string_view name;
};
constexpr std::array<NamedReason, 4> kReasons = {{
    {CountedRefusals::kExhausted, "rate_limited"},
    {CountedRefusals::kDeadline, "deadline"},
    {CountedRefusals::kCancelled, "cancelled"},
    {CountedRefusals::kImpossible, "exceeds_capacity"},
}};
// One slot is never more than there can be.
constexpr std::span<const NamedReason> kReasonsOfPacer = std::span(kReasons).first(3);

template <class TotalOf>
void TellRefusals(Collector& collector, std::span<const NamedReason> reasons,
                  const TotalOf& total_of) {
  for (const auto& [reason, name] : reasons) {
    collector.Count(kLimitRefusals, total_of(reason), {{internal::attribute::kReason, name}});
  }
}

void TellLimits(Collector& collector, double rate, double burst) {
  collector.Gauge(kLimitRate, rate);
  collector.Gauge(kLimitBurst, burst);
}

void TellCharges(Collector& collector, const ChargeTotals& charges) {
  collector.Count(kLimitCharged, charges.charged());
  collector.Count(kLimitRefunded, charges.refunded());
}

}  // namespace

void TokenBucket::Collect(Collector& collector) const {
  TellLimits(collector, rate(), static_cast<double>(burst()));
  collector.Gauge(kLimitTokens, Tokens());
  TellRefusals(collector, kReasons, [this](auto reason) { return refusals_.Total(reason); });
  TellCharges(collector, charges_);
}

// Without setting_, which is held for as long as it takes to give all keys new limits; and without
// a copy of the function for limits, which is the user's, and might be destroyed here.
void KeyedTokenBucket::Collect(Collector& collector) const {
  std::optional<Limits> limits;
  {
    internal::KeyedShard& shard = shards_[0];
    const std::lock_guard lock(shard.mutex);
    if (shard.limits_for() == nullptr) limits = shard.limits();
  }
  if (limits) TellLimits(collector, limits->rate, static_cast<double>(limits->burst));
  // What keys share counts for itself; and to find no room, in time or before a deadline, is one
  // reason.
  TellRefusals(collector, kReasons, [this](auto reason) {
    const std::uint64_t total = refusals_.Total(reason) + shared_->refusals().Total(reason);
    if (reason != CountedRefusals::kExhausted) return total;
    return total + no_room_.Total(CountedRefusals::kExhausted) +
           no_room_.Total(CountedRefusals::kDeadline);
  });
  TellCharges(collector, charges_);
  const Attribute kind = {.key = internal::attribute::kKind, .value = kKindOfKeys};
  collector.Gauge(internal::kKeys, static_cast<double>(size()), {kind});
  collector.Gauge(internal::kKeysLimit, static_cast<double>(max_keys_), {kind});
  collector.Count(internal::kKeysTurnedAway, turned_away_.Sum(0));
}

void Pacer::Collect(Collector& collector) const {
  const auto row = rows_.Read();
  TellLimits(collector, row->rate, row->most());
  collector.Gauge(kLimitTokens, SlotsAt(clock_.Now()));
  TellRefusals(collector, kReasonsOfPacer, [this](auto reason) { return refusals_.Total(reason); });
}

}  // namespace holdfast
