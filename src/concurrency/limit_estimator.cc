#include "src/concurrency/limit_estimator.h"

#include <algorithm>
#include <cmath>

namespace holdfast::internal {
namespace {

// True if it was not the limit that held the calls back.
bool IsFarBelow(const LimitWindow& window, double limit) {
  return 2 * static_cast<double>(window.in_flight) < limit;
}

}  // namespace

double AimdEstimator::Next(const LimitWindow& window, double limit) const {
  const bool late =
      window.succeeded > 0 && window.latency > static_cast<double>(options_.timeout.count());
  if (window.dropped || late) return limit * options_.backoff_ratio;
  return IsFarBelow(window, limit) ? limit : limit + 1;
}

double VegasEstimator::Next(const LimitWindow& window, double limit) {
  const bool first = !no_load_.known();
  const bool measured = no_load_.probe().has_value();
  no_load_.Update(window, limit, minimum_);
  // A probe's window says nothing of the limit, and the first one has nothing to compare with.
  if (!window.dropped && (window.succeeded <= 0 || first || measured)) return limit;
  return limit + options_.smoothing * Change(window, limit);
}

double VegasEstimator::Change(const LimitWindow& window, double limit) const {
  const double step = std::max(1.0, std::log10(limit));
  if (window.dropped) return -step;
  if (IsFarBelow(window, limit)) return 0;
  const double unit = queue_size_ ? static_cast<double>(*queue_size_) / options_.alpha : step;
  const double waiting = limit * (1 - std::min(1.0, no_load_.value() / window.latency));
  if (waiting <= unit) return options_.beta * unit;
  if (waiting < options_.alpha * unit) return step;
  return waiting > options_.beta * unit ? -step : 0;
}

double Gradient2Estimator::Next(const LimitWindow& window, double limit) {
  const bool measured = no_load_.probe().has_value();
  const bool known = no_load_.known();
  no_load_.Update(window, limit, minimum_);
  if (window.dropped) {
    constexpr double kSteepest = 0.5;
    return limit + options_.smoothing * (kSteepest * limit - limit);
  }
  if (window.succeeded <= 0 || measured) return limit;
  if (known) Average(window.latency);
  if (IsFarBelow(window, limit)) return limit;
  const double gradient =
      std::clamp(options_.tolerance * no_load_.value() / window.latency, 0.5, 1.0);
  return limit + options_.smoothing * (limit * gradient + queue_size_ - limit);
}

// An exponential average; of the first few windows it is the mean.
void Gradient2Estimator::Average(double latency) {
  constexpr std::int64_t kWarmUp = 10;
  averaged_ = std::min(averaged_ + 1, kWarmUp);
  const double weight = averaged_ < kWarmUp ? 1 / static_cast<double>(averaged_ + 1)
                                            : 2 / (static_cast<double>(options_.long_window) + 1);
  double average = no_load_.value();
  average += weight * (latency - average);
  // A time of very slow calls is forgotten sooner.
  if (average > 2 * latency) average *= 0.95;
  no_load_.set_value(average);
}

LimitEstimator::LimitEstimator(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
                               std::optional<std::int64_t> queue_size)
    : bounds_(bounds),
      estimator_(Make(algorithm, bounds, queue_size, {})),
      estimate_(static_cast<double>(bounds.initial)) {}

LimitEstimator::Estimator LimitEstimator::Make(const LimitAlgorithm& algorithm,
                                               const LimitBounds& bounds,
                                               std::optional<std::int64_t> queue_size,
                                               const LimitMemory& memory) {
  const auto minimum = static_cast<double>(bounds.minimum);
  if (const auto* aimd = std::get_if<Aimd>(&algorithm)) return AimdEstimator(*aimd);
  if (const auto* vegas = std::get_if<Vegas>(&algorithm)) {
    return VegasEstimator(*vegas, queue_size, minimum, memory);
  }
  return Gradient2Estimator(std::get<Gradient2>(algorithm),
                            static_cast<double>(queue_size.value_or(Gradient2::kQueueSize)),
                            minimum, memory);
}

void LimitEstimator::Change(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
                            std::optional<std::int64_t> queue_size) {
  estimator_ = Make(algorithm, bounds, queue_size, memory());
  bounds_ = bounds;
  estimate_ = std::clamp(estimate_, static_cast<double>(bounds.minimum),
                         static_cast<double>(bounds.maximum));
}

void LimitEstimator::Update(const LimitWindow& window) {
  LimitWindow seen = window;
  // At least one nanosecond, also if it is not a number.
  if (!(seen.latency >= 1)) seen.latency = 1;
  seen.latency = std::min(seen.latency, static_cast<double>(Duration::max().count()));
  const double next =
      std::visit([&](auto& estimator) { return estimator.Next(seen, estimate_); }, estimator_);
  if (!std::isfinite(next)) return;
  estimate_ =
      std::clamp(next, static_cast<double>(bounds_.minimum), static_cast<double>(bounds_.maximum));
}

std::int64_t LimitEstimator::limit() const {
  const double limit = std::min(estimate_, probe().value_or(estimate_));
  return std::clamp(static_cast<std::int64_t>(limit), bounds_.minimum, bounds_.maximum);
}

double LimitEstimator::no_load_latency() const { return memory().no_load.value(); }

LimitMemory LimitEstimator::memory() const {
  return std::visit([](const auto& estimator) { return estimator.memory(); }, estimator_);
}

bool LimitEstimator::probing() const { return probe().has_value(); }

std::optional<double> LimitEstimator::probe() const {
  return std::visit([](const auto& estimator) { return std::optional<double>(estimator.probe()); },
                    estimator_);
}

}  // namespace holdfast::internal
