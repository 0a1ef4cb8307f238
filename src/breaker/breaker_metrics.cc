// What the breakers tell a collector.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/keyed_circuit_breaker.h"
#include "src/breaker/breaker_machine.h"
#include "src/breaker/live_breakers.h"
#include "src/call/metric_names.h"

namespace holdfast {
namespace {

namespace attribute = internal::attribute;
using internal::BreakerTotals;

constexpr Metric kState = {.name = "holdfast.breaker.state",
                           .type = MetricType::kGauge,
                           .unit = "",
                           .help = "1 for the state that the breaker is in, 0 for the others"};
constexpr Metric kMode = {.name = "holdfast.breaker.mode",
                          .type = MetricType::kGauge,
                          .unit = "",
                          .help = "1 for the mode that the breaker is in, 0 for the others"};
constexpr Metric kCalls = {.name = "holdfast.breaker.calls",
                           .type = MetricType::kCounter,
                           .unit = "{call}",
                           .help = "Admitted calls that have ended"};
constexpr Metric kSlowCalls = {.name = "holdfast.breaker.slow_calls",
                               .type = MetricType::kCounter,
                               .unit = "{call}",
                               .help = "Successes and failures that took longer than slow_call"};
constexpr Metric kRefusals = {.name = "holdfast.breaker.refusals",
                              .type = MetricType::kCounter,
                              .unit = "{call}",
                              .help = "Calls that the breaker refused"};
constexpr Metric kTransitions = {.name = "holdfast.breaker.transitions",
                                 .type = MetricType::kCounter,
                                 .unit = "{transition}",
                                 .help = "Changes of state, by the state entered"};
constexpr Metric kFailureRatio = {.name = "holdfast.breaker.failure_ratio",
                                  .type = MetricType::kGauge,
                                  .unit = "1",
                                  .help = "Share of failures among the window's judged calls"};
constexpr Metric kSlowRatio = {
    .name = "holdfast.breaker.slow_ratio",
    .type = MetricType::kGauge,
    .unit = "1",
    .help = "Share of slow and hung calls among the window's judged and hung calls"};
constexpr Metric kProbes = {.name = "holdfast.breaker.probes",
                            .type = MetricType::kGauge,
                            .unit = "{call}",
                            .help = "Probes that have not ended"};
constexpr Metric kOpenRemaining = {.name = "holdfast.breaker.open_remaining",
                                   .type = MetricType::kGauge,
                                   .unit = "s",
                                   .help = "How much longer the breaker stays open"};

// By enumerator.
constexpr std::array<std::string_view, 3> kStateNames = {"closed", "half_open", "open"};
constexpr std::array<std::string_view, 4> kModeNames = {"automatic", "metrics_only", "forced_open",
                                                        "forced_closed"};
constexpr std::array<std::string_view, 3> kOutcomeNames = {"success", "failure", "ignored"};

template <std::size_t n, class E>
void TellWhich(Collector& collector, const Metric& metric, std::string_view key,
               const std::array<std::string_view, n>& names, E present) {
  for (std::size_t i = 0; i < n; ++i) {
    collector.Gauge(metric, static_cast<E>(i) == present ? 1 : 0, {{key, names[i]}});
  }
}

void TellTotals(Collector& collector, const BreakerTotals& totals) {
  for (std::size_t i = 0; i < kOutcomeNames.size(); ++i) {
    collector.Count(kCalls, totals.calls.outcomes[i], {{attribute::kOutcome, kOutcomeNames[i]}});
  }
  collector.Count(kSlowCalls, totals.calls.slow);
  collector.Count(kRefusals, totals.calls.refused, {{attribute::kReason, "open"}});
  collector.Count(kRefusals, totals.no_place, {{attribute::kReason, "no_probe"}});
  for (std::size_t i = 0; i < internal::kTransitionNames.size(); ++i) {
    collector.Count(kTransitions, totals.transitions[i],
                    {{attribute::kState, internal::kTransitionNames[i].state},
                     {attribute::kCause, internal::kTransitionNames[i].cause}});
  }
}

}  // namespace

void CircuitBreaker::Collect(Collector& collector) const {
  const TimePoint now = Now();
  std::unique_lock lock(mutex_);
  const BreakerSnapshot snapshot = machine_->Snapshot(now);
  const BreakerCounts counts = machine_->LookAtCounts();
  const std::uint64_t probes = machine_->probes_in_flight();
  const BreakerTotals totals = machine_->totals();
  lock.unlock();
  TellWhich(collector, kState, attribute::kState, kStateNames, snapshot.state);
  TellWhich(collector, kMode, attribute::kMode, kModeNames, snapshot.mode);
  TellTotals(collector, totals);
  collector.Gauge(kFailureRatio, counts.failure_rate());
  collector.Gauge(kSlowRatio, counts.slow_rate());
  collector.Gauge(kProbes, static_cast<double>(probes));
  collector.Gauge(kOpenRemaining, std::chrono::duration<double>(snapshot.open_for).count());
}

void KeyedCircuitBreaker::Collect(Collector& collector) const {
  const internal::LiveBreakers::Sums sums = live_->Look();
  TellTotals(collector, sums.totals);
  constexpr Attribute kKind = {.key = attribute::kKind, .value = "breaker"};
  collector.Gauge(internal::kKeys, static_cast<double>(size()), {kKind});
  collector.Gauge(internal::kKeysLimit, static_cast<double>(max_keys()), {kKind});
  for (std::size_t i = 0; i < kStateNames.size(); ++i) {
    collector.Gauge(internal::kKeysState, static_cast<double>(sums.in_state[i]),
                    {{attribute::kState, kStateNames[i]}});
  }
  collector.Count(internal::kKeysTurnedAway, turned_away_.Sum(0));
}

}  // namespace holdfast
