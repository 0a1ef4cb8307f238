// OpenTelemetryInstruments gives a registry of metrics to OpenTelemetry's C++ API, for a program
// that has the SDK and its exporters. All of it is in this header, which needs the headers of
// opentelemetry-cpp's API and which holdfast/metrics.h does not include.
//
//   const auto metrics = std::make_shared<holdfast::Metrics>();
//   holdfast::OpenTelemetryInstruments instruments(metrics, meter);
//   absl::Status added = metrics->Add("orders", stack);
//   instruments.Update();  // after objects were added: makes instruments for what they tell
#ifndef HOLDFAST_METRICS_OPENTELEMETRY_H_
#define HOLDFAST_METRICS_OPENTELEMETRY_H_

#include <opentelemetry/common/attribute_value.h>
#include <opentelemetry/metrics/async_instruments.h>
#include <opentelemetry/metrics/meter.h>
#include <opentelemetry/metrics/observer_result.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/nostd/string_view.h>
#include <opentelemetry/nostd/variant.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "holdfast/base/internal/validate.h"
#include "holdfast/base/time.h"
#include "holdfast/metrics/internal/int_attribute.h"
#include "holdfast/metrics/metrics.h"

namespace holdfast {

// Each metric of the registry is an asynchronous instrument of the meter, with the same name, unit
// and attributes: a counter an observable counter of integers, an up-down counter and a gauge an
// observable one of doubles. The SDK asks them as often as it collects. They observe what Snapshot
// has: all instruments the same snapshot in one collection, which is at most 1 s old.
//
// Histograms are left out, since the API has none that can be observed, and to record each call in
// a synchronous one would cost each call what the SDK takes for it. OtlpPush
// (metrics_http/otlp_push.h), and what sends Metrics::OtlpJson, send them with all buckets.
//
// The API takes no start time: the SDK tells its own for each series.
//
// Thread-safe. Requires of the meter what the SDK does: after RemoveCallback no callback runs.
class OpenTelemetryInstruments {
 public:
  using Meter = opentelemetry::metrics::Meter;

  // Makes instruments for all metrics that there are. Throws std::invalid_argument for a null
  // registry or meter.
  OpenTelemetryInstruments(std::shared_ptr<const Metrics> metrics,
                           opentelemetry::nostd::shared_ptr<Meter> meter)
      : source_(internal::NotNull(std::move(metrics),
                                  "OpenTelemetryInstruments: the registry of metrics")),
        meter_(std::move(meter)) {
    if (meter_.get() == nullptr) internal::ThrowNull("OpenTelemetryInstruments: the Meter");
    Update();
  }
  OpenTelemetryInstruments(const OpenTelemetryInstruments&) = delete;
  OpenTelemetryInstruments& operator=(const OpenTelemetryInstruments&) = delete;
  ~OpenTelemetryInstruments() {
    for (auto& [name, observed] : observed_) {
      if (observed.instrument.get() != nullptr) {
        observed.instrument->RemoveCallback(&Observe, &observed);
      }
    }
  }

  // Makes instruments for metrics that have come since. An instrument stays when its metric goes,
  // and observes nothing then. Not to be called in a callback of the meter, which may hold the
  // SDK's lock.
  void Update() {
    const MetricsSnapshot snapshot = source_.metrics->Snapshot();
    const std::lock_guard lock(mutex_);
    for (const MetricFamily& family : snapshot.families()) {
      if (family.type == MetricType::kHistogram) continue;
      const auto [at, is_new] = observed_.try_emplace(family.name);
      if (!is_new) continue;
      Observed& observed = at->second;
      observed.source = &source_;
      observed.name = &at->first;
      observed.instrument = Make(family);
      if (observed.instrument.get() != nullptr) {
        observed.instrument->AddCallback(&Observe, &observed);
      }
    }
  }

 private:
  using Instrument = opentelemetry::nostd::shared_ptr<opentelemetry::metrics::ObservableInstrument>;
  template <class T>
  using ResultOf = opentelemetry::nostd::shared_ptr<opentelemetry::metrics::ObserverResultT<T>>;
  using Attributes = std::vector<
      std::pair<opentelemetry::nostd::string_view, opentelemetry::common::AttributeValue>>;

  // Where the instruments of one registry get their snapshots from.
  class Source {
   public:
    explicit Source(std::shared_ptr<const Metrics> of) : metrics(std::move(of)) {}

    // The latest snapshot, or a new one if `seen`, which becomes its number, is the latest's: an
    // instrument that is asked again is asked in another collection.
    std::shared_ptr<const MetricsSnapshot> Next(std::uint64_t& seen) {
      const std::lock_guard lock(mutex_);
      const TimePoint now = internal::ReadClock(nullptr);
      if (seen == number_ || now - taken_ > std::chrono::seconds(1)) {
        snapshot_ = std::make_shared<const MetricsSnapshot>(metrics->Snapshot());
        taken_ = now;
        ++number_;
      }
      seen = number_;
      return snapshot_;
    }

    const std::shared_ptr<const Metrics> metrics;

   private:
    std::mutex mutex_;  // also of what instruments have seen
    std::shared_ptr<const MetricsSnapshot> snapshot_;
    TimePoint taken_{};
    std::uint64_t number_ = 0;
  };

  // One instrument; its address is the state of the callback.
  struct Observed {
    Source* source = nullptr;
    const std::string* name = nullptr;
    std::uint64_t seen = 0;
    Instrument instrument = {};
  };

  Instrument Make(const MetricFamily& family) const {
    using opentelemetry::nostd::string_view;
    const string_view name(family.name.data(), family.name.size());
    const string_view help(family.help.data(), family.help.size());
    const string_view unit(family.unit.data(), family.unit.size());
    switch (family.type) {
      case MetricType::kCounter:
        return meter_->CreateInt64ObservableCounter(name, help, unit);
      case MetricType::kUpDownCounter:
        return meter_->CreateDoubleObservableUpDownCounter(name, help, unit);
      case MetricType::kGauge:
      case MetricType::kHistogram:
        break;
    }
    return meter_->CreateDoubleObservableGauge(name, help, unit);
  }

  // In a thread of the SDK, which takes no exception: where there is no memory, nothing is
  // observed.
  static void Observe(opentelemetry::metrics::ObserverResult result, void* state) noexcept {
    auto& observed = *static_cast<Observed*>(state);
    try {
      const auto snapshot = observed.source->Next(observed.seen);
      const MetricFamily* family = snapshot->Family(*observed.name);
      if (family == nullptr) return;
      for (const MetricSeries& series : family->series) ObserveOne(*family, series, result);
    } catch (...) {  // NOLINT(bugprone-empty-catch)
    }
  }

  static void ObserveOne(const MetricFamily& family, const MetricSeries& series,
                         const opentelemetry::metrics::ObserverResult& result) {
    namespace nostd = opentelemetry::nostd;
    const Attributes attributes = AttributesOf(family, series);
    if (const auto* count = std::get_if<std::uint64_t>(&series.value)) {
      if (!nostd::holds_alternative<ResultOf<std::int64_t>>(result)) return;
      constexpr auto kMax = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
      nostd::get<ResultOf<std::int64_t>>(result)->Observe(
          static_cast<std::int64_t>(std::min(*count, kMax)), attributes);
    } else if (const auto* value = std::get_if<double>(&series.value)) {
      if (!nostd::holds_alternative<ResultOf<double>>(result)) return;
      nostd::get<ResultOf<double>>(result)->Observe(*value, attributes);
    }
  }

  static Attributes AttributesOf(const MetricFamily& family, const MetricSeries& series) {
    using opentelemetry::nostd::string_view;
    Attributes attributes;
    attributes.reserve(family.keys.size());
    for (std::size_t i = 0; i < family.keys.size(); ++i) {
      const std::string& key = family.keys[i];
      const std::string& value = series.values[i];
      if (value.empty()) continue;
      const string_view name(key.data(), key.size());
      if (const auto number = internal::IntAttribute(key, value)) {
        attributes.emplace_back(name, *number);
      } else {
        attributes.emplace_back(name, string_view(value.data(), value.size()));
      }
    }
    return attributes;
  }

  Source source_;
  const opentelemetry::nostd::shared_ptr<Meter> meter_;
  std::mutex mutex_;
  std::map<std::string, Observed> observed_;  // by name; a node stays where it is
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_OPENTELEMETRY_H_
