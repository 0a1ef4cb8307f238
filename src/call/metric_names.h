// The keys of attributes, and the metrics that several families have.
#ifndef HOLDFAST_SRC_CALL_METRIC_NAMES_H_
#define HOLDFAST_SRC_CALL_METRIC_NAMES_H_

#include <chrono>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"

namespace holdfast::internal {

namespace attribute {

inline constexpr std::string_view kCause = "holdfast.cause";
inline constexpr std::string_view kDirection = "holdfast.direction";
inline constexpr std::string_view kErrorType = "error.type";  // empty for a success
inline constexpr std::string_view kKind = "holdfast.kind";
inline constexpr std::string_view kMode = "holdfast.mode";
inline constexpr std::string_view kOutcome = "holdfast.outcome";
inline constexpr std::string_view kPolicy = "holdfast.policy";
inline constexpr std::string_view kPolicyName = "holdfast.name";
inline constexpr std::string_view kPriority = "holdfast.priority";
inline constexpr std::string_view kQuantile = "holdfast.quantile";
inline constexpr std::string_view kReason = "holdfast.reason";
inline constexpr std::string_view kResult = "holdfast.result";
inline constexpr std::string_view kRetried = "holdfast.retried";
inline constexpr std::string_view kScope = "holdfast.scope";
inline constexpr std::string_view kState = "holdfast.state";

}  // namespace attribute

// The value of a metric whose unit is "s".
inline double InSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// Of an object that keeps something for each key.
inline constexpr Metric kKeys = {.name = "holdfast.keys",
                                 .type = MetricType::kGauge,
                                 .unit = "{key}",
                                 .help = "Keys that are remembered"};
inline constexpr Metric kKeysLimit = {.name = "holdfast.keys.limit",
                                      .type = MetricType::kGauge,
                                      .unit = "{key}",
                                      .help = "Keys that can be remembered"};
inline constexpr Metric kKeysState = {.name = "holdfast.keys.state",
                                      .type = MetricType::kGauge,
                                      .unit = "{key}",
                                      .help = "Keys in each state"};
inline constexpr Metric kKeysTurnedAway = {.name = "holdfast.keys.turned_away",
                                           .type = MetricType::kCounter,
                                           .unit = "{call}",
                                           .help = "Calls for whose key there was no room"};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CALL_METRIC_NAMES_H_
