#include "holdfast/metrics/metrics.h"

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"
#include "src/metrics/gather.h"
#include "src/metrics/object_series.h"
#include "src/metrics/otlp_json.h"
#include "src/metrics/prometheus_text.h"
#include "src/metrics/registry.h"

namespace holdfast {

absl::Status Validate(const MetricsOptions& options) {
  internal::OptionsChecker check("Metrics");
  check(options.max_series >= 1, "max_series must be at least 1, not ", options.max_series);
  check(!options.service_name.empty(), "service_name must not be empty");
  check(options.now != nullptr, "now must be a function");
  return check.status();
}

struct Metrics::Impl {
  explicit Impl(MetricsOptions o)
      : options(internal::Validated(std::move(o))), since(options.now()) {}

  // The most that were left out until now.
  std::uint64_t Overflow(std::uint64_t left_out) {
    const std::lock_guard lock(mutex);
    overflow = std::max(overflow, left_out);
    return overflow;
  }

  // Has the objects measure, and tell, what the options ask for.
  void Attach(std::string_view name, const CollectedObjects& objects) const {
    for (const CollectedObject& object : objects.all()) {
      const std::shared_ptr<const void> alive = object.object.lock();
      if (alive == nullptr) continue;
      if (options.durations && object.time != nullptr) object.time(alive.get());
      if (options.active_calls && object.count_active != nullptr) object.count_active(alive.get());
      if (options.observer != nullptr && object.observe != nullptr) {
        object.observe(alive.get(), name, options.observer);
      }
    }
  }

  const MetricsOptions options;
  const std::chrono::system_clock::time_point since;
  internal::Registry registry;
  std::mutex mutex;
  std::uint64_t overflow = 0;
};

Metrics::Metrics(MetricsOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Metrics::Metrics(Metrics&&) noexcept = default;
Metrics& Metrics::operator=(Metrics&&) noexcept = default;
Metrics::~Metrics() = default;

absl::Status Metrics::AddStack(std::string_view name, const CollectedObjects& objects) {
  absl::Status status = impl_->registry.AddStack(name, objects, impl_->options.now());
  if (status.ok()) impl_->Attach(name, objects);
  return status;
}

absl::Status Metrics::AddObject(std::string_view name, const CollectedObjects& object) {
  absl::Status status = impl_->registry.AddObject(name, object, impl_->options.now());
  if (status.ok()) impl_->Attach(name, object);
  return status;
}

std::string Metrics::Text() const { return internal::PrometheusText(Snapshot()); }

std::string Metrics::OtlpJson() const {
  return internal::OtlpJson(Snapshot(), impl_->options.service_name);
}

std::vector<StackLayout> Metrics::Stacks() const { return impl_->registry.Stacks(); }

const std::string& Metrics::service_name() const { return impl_->options.service_name; }

MetricsSnapshot Metrics::Snapshot() const {
  internal::Gathering gathering(impl_->options.max_series, impl_->since);
  for (const auto& known : impl_->registry.Objects()) {
    const std::shared_ptr<const void> object = known->object.lock();
    if (object == nullptr) continue;
    internal::ObjectSeries series(known->name_key, known->name);
    known->collect(object.get(), series);
    gathering.Take(std::move(series.told()), known->since);
  }
  const std::uint64_t overflow = impl_->Overflow(gathering.left_out());
  return std::move(gathering).Snapshot(impl_->options.now(), overflow);
}

}  // namespace holdfast
