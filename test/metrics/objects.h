#ifndef HOLDFAST_TEST_METRICS_OBJECTS_H_
#define HOLDFAST_TEST_METRICS_OBJECTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/call/collector.h"

namespace holdfast::test {

inline constexpr Metric kCogCalls = {.name = "cog.calls",
                                     .type = MetricType::kCounter,
                                     .unit = "{call}",
                                     .help = "Calls of the cog"};
inline constexpr Metric kCogLimit = {
    .name = "cog.limit", .type = MetricType::kGauge, .unit = "s", .help = "The time of a turn"};
inline constexpr Metric kGearCalls = {.name = "gear.calls",
                                      .type = MetricType::kCounter,
                                      .unit = "{call}",
                                      .help = "Calls of the gear"};

// Has three series.
class Cog {
 public:
  explicit Cog(std::string name = "") : name_(std::move(name)) {}

  void Collect(Collector& collector) const {
    collector.Count(kCogCalls, good, {{"holdfast.outcome", "success"}});
    collector.Count(kCogCalls, bad, {{"holdfast.outcome", "failure"}});
    collector.Gauge(kCogLimit, limit);
  }
  const std::string& name() const { return name_; }

  std::uint64_t good = 0;
  std::uint64_t bad = 0;
  double limit = 1;

 private:
  std::string name_;
};

// Has one.
class Gear {
 public:
  explicit Gear(std::string name = "") : name_(std::move(name)) {}

  void Collect(Collector& collector) const { collector.Count(kGearCalls, 1); }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

// Tells what it is given.
class Teller {
 public:
  using Tell = void (*)(Collector&);

  explicit Teller(Tell tell) : tell_(tell) {}

  void Collect(Collector& collector) const { tell_(collector); }
  std::string_view name() const { return "teller"; }

 private:
  Tell tell_;
};

inline std::shared_ptr<Teller> Tells(Teller::Tell tell) { return std::make_shared<Teller>(tell); }

// A stack as far as a registry sees it. With a meter it counts its own calls.
class Pile {
 public:
  struct Meter {
    void Collect(Collector& collector) const {
      collector.Count({.name = "pile.calls",
                       .type = MetricType::kCounter,
                       .unit = "{call}",
                       .help = "Calls of the pile"},
                      7);
    }
    std::string_view name() const { return ""; }
  };

  CollectedObjects Objects() const {
    CollectedObjects objects;
    for (const auto& add : parts_) add(objects);
    return objects;
  }

  template <class Object>
  Pile With(std::shared_ptr<Object> object, std::string_view kind) const {
    Pile pile = *this;
    pile.parts_.push_back([object, kind](CollectedObjects& o) { o.Add(object, kind); });
    return pile;
  }
  Pile WithMeter() const {
    Pile pile = *this;
    pile.parts_.push_back(
        [meter = std::make_shared<Meter>()](CollectedObjects& o) { o.AddStack(meter); });
    return pile;
  }

 private:
  std::vector<std::function<void(CollectedObjects&)>> parts_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_OBJECTS_H_
