// PolicyInfo of the breakers.
#include <absl/strings/str_cat.h>

#include <string>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/keyed_circuit_breaker.h"
#include "src/base/info_text.h"

namespace holdfast {
namespace {

using internal::CountText;
using internal::DurationText;
using internal::JoinSettings;
using internal::NameText;

// The interval, rounded up to whole buckets; 0 without a window of time.
Duration WindowOf(const CircuitBreaker::Options& options) {
  if (options.bucket_period == Duration::zero()) return options.interval;
  const Duration part = options.interval % options.bucket_period;
  if (part == Duration::zero()) return options.interval;
  return SaturatingAdd(TimePoint(options.interval), options.bucket_period - part)
      .time_since_epoch();
}

PolicyInfo InfoOf(const CircuitBreaker::Options& options, const std::string& whose) {
  const Duration window = WindowOf(options);
  const std::string counts =
      window > Duration::zero() ? absl::StrCat("window ", DurationText(window))
      : options.last_calls > 0  ? absl::StrCat("last ", CountText(options.last_calls, "call"))
                                : "";
  const std::string open =
      options.open_time == nullptr ? absl::StrCat("open ", DurationText(options.timeout)) : "";
  return {.settings = JoinSettings({whose, counts, open, CountText(options.max_requests, "probe")}),
          .window = window,
          .probes = options.max_requests,
          .probe_lease = options.probe_lease,
          .open_for = options.open_time == nullptr ? options.timeout : TimeSpan{}};
}

}  // namespace

PolicyInfo CircuitBreaker::Info(const internal::Changes& changes) const {
  const Options* const next = changes.Of(*this);
  return InfoOf(next == nullptr ? options() : *next, NameText(name_));
}

PolicyInfo KeyedCircuitBreaker::Info(const internal::Changes& changes) const {
  const Options* const next = changes.Of(*this);
  const Options would_have = next == nullptr ? options() : *next;
  std::string whose = JoinSettings(
      {NameText(name_), absl::StrCat("up to ", CountText(would_have.max_keys, "key"))});
  // Each key may have other options.
  if (would_have.options_for != nullptr) return {.settings = std::move(whose)};
  return InfoOf(would_have.breaker, whose);
}

}  // namespace holdfast
