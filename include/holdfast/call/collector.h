// A Collector takes what a policy object tells of itself: counters that only grow, and gauges.
//
//   class Quota {  // a policy object of yours
//    public:
//     void Collect(holdfast::Collector& collector) const {
//       static constexpr holdfast::Metric kUsed = {.name = "quota.used",
//                                                  .type = holdfast::MetricType::kCounter,
//                                                  .unit = "{call}",
//                                                  .help = "Calls that the quota admitted"};
//       collector.Count(kUsed, used_.load(std::memory_order_relaxed));
//     }
//
//    private:
//     std::atomic<std::uint64_t> used_{0};
//   };
#ifndef HOLDFAST_CALL_COLLECTOR_H_
#define HOLDFAST_CALL_COLLECTOR_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

class Observer;

enum class MetricType { kCounter, kUpDownCounter, kGauge, kHistogram };

// What a metric is, by the rules of OpenTelemetry's semantic conventions: a name in lower case with
// dots, in which only what can be counted is plural and "total" does not occur, and a unit of UCUM
// ("s", "By", "1" for a ratio, "{call}" for what is counted; empty for a flag of 0 or 1).
struct Metric {
  std::string_view name;
  MetricType type;
  std::string_view unit;
  std::string_view help;  // a sentence without a period
};

// An attribute of a series. A value is an enumerator's name, or a name that was given when an
// object was made; never a key, a URL, a message or anything of a request, of which there are as
// many as there are callers. What a peer chooses, as a status, is bounded by the object. All series
// of a metric have the same keys in the same order; what does not apply to one, as error.type to a
// call that succeeded, is empty there.
struct Attribute {
  std::string_view key;  // "holdfast.reason"
  std::string_view value;
};

// Durations in exponential buckets, as OpenTelemetry's exponential histogram of scale 2: bucket i
// of `counts` holds what is greater than 2^((offset + i) / 4) seconds and no greater than
// 2^((offset + i + 1) / 4).
struct HistogramCounts {
  static constexpr int kScale = 2;

  int offset = 0;
  std::vector<std::uint64_t> counts = {};
  double sum = 0;  // seconds

  friend bool operator==(const HistogramCounts&, const HistogramCounts&) = default;
};

// Implemented by a registry of metrics. Used by one thread at a time, for the time of one Collect.
class Collector {
 public:
  using Attributes = std::initializer_list<Attribute>;

  // A series: of a kCounter, of a kUpDownCounter or kGauge, and of a kHistogram. The registry adds
  // the name of the object, so an object tells only what tells its own series apart.
  void Count(const Metric& metric, std::uint64_t total, Attributes attributes = {}) {
    TakeCount(metric, total, {attributes.begin(), attributes.size()});
  }
  void Gauge(const Metric& metric, double value, Attributes attributes = {}) {
    TakeGauge(metric, value, {attributes.begin(), attributes.size()});
  }
  void Histogram(const Metric& metric, const HistogramCounts& counts, Attributes attributes = {}) {
    TakeHistogram(metric, counts, {attributes.begin(), attributes.size()});
  }

 protected:
  Collector() = default;
  Collector(const Collector&) = default;
  Collector& operator=(const Collector&) = default;
  ~Collector() = default;

 private:
  virtual void TakeCount(const Metric& metric, std::uint64_t total,
                         std::span<const Attribute> attributes) = 0;
  virtual void TakeGauge(const Metric& metric, double value,
                         std::span<const Attribute> attributes) = 0;
  virtual void TakeHistogram(const Metric& metric, const HistogramCounts& counts,
                             std::span<const Attribute> attributes) = 0;
};

// An object that a registry can look at. Collect is called in any thread, at any time, and changes
// nothing: it makes no transition, runs no callback of a user, and waits for nothing but a short
// lock of the object's own. A Clock that the object was given may be read. An object that has
// events of its own, as a CircuitBreaker has, takes who observes them by a member
//   void Observe(std::shared_ptr<Observer> observer) const;
template <class Object>
concept Collectable = requires(const Object& object, Collector& collector) {
  object.Collect(collector);
  { object.name() } -> std::convertible_to<std::string_view>;
};

// How a policy of a stack is set, and which objects it uses.
struct DescribedPolicy {
  std::string policy;    // holdfast.policy of the series that the stack counts for it
  std::string name;      // holdfast.name of these
  std::string settings;  // as in Stack::Describe()
  std::vector<std::weak_ptr<const void>> objects;
};

// One of the objects that a policy uses, or the counters of the stack itself; the registry does not
// keep it alive.
struct CollectedObject {
  std::string_view name_key = "holdfast.name";  // of the attribute that has its name
  std::weak_ptr<const void> object;
  std::string_view kind;                         // the policy's kName
  std::string_view (*name)(const void* object);  // the object's own; may be empty
  void (*collect)(const void* object, Collector&);
  // Attaches an observer to it, which is to know a stack by `name`; null where it has no events of
  // its own.
  void (*observe)(const void* object, std::string_view name,
                  const std::shared_ptr<Observer>& observer) = nullptr;
  // From now on it measures how long calls take, or counts those that run; null where it can't.
  void (*time)(const void* object) = nullptr;
  void (*count_active)(const void* object) = nullptr;
  // The policies of a stack as they are now, outermost first; null of an object that is none.
  std::vector<DescribedPolicy> (*describe)(const void* object) = nullptr;
};

// A handle whose copies are one object to a registry, which it tells of: http::Transport.
template <class Handle>
concept CollectedHandle = requires(const Handle& handle) {
  { handle.Collected() } -> std::same_as<CollectedObject>;
};

// What a policy tells of the objects that it uses, from an optional member beside Info():
//   void Objects(CollectedObjects& objects) const { objects.Add(quota_, kName); }
class CollectedObjects {
 public:
  template <Collectable Object>
  void Add(const std::shared_ptr<Object>& object, std::string_view kind) {
    objects_.push_back(
        {.object = object,
         .kind = kind,
         .name = [](const void* o) -> std::string_view {
           return static_cast<const Object*>(o)->name();
         },
         .collect = [](const void* o,
                       Collector& collector) { static_cast<const Object*>(o)->Collect(collector); },
         .observe = ObserveOf<Object>()});
  }

  void Add(CollectedObject object) { objects_.push_back(std::move(object)); }

  // The counters of a stack, whose name is the one that the registry gives it.
  template <Collectable Object>
  void AddStack(const std::shared_ptr<Object>& counters) {
    Add(counters, "Stack");
    objects_.back().name_key = "holdfast.stack";
    if constexpr (requires(const Object& o) { o.Time(); }) {
      objects_.back().time = [](const void* o) { static_cast<const Object*>(o)->Time(); };
    }
    if constexpr (requires(const Object& o) { o.CountActiveCalls(); }) {
      objects_.back().count_active = [](const void* o) {
        static_cast<const Object*>(o)->CountActiveCalls();
      };
    }
    if constexpr (requires(const Object& o) { o.Describe(); }) {
      objects_.back().describe = [](const void* o) {
        return static_cast<const Object*>(o)->Describe();
      };
    }
  }

  // An object of a class that knows of no Collector, with the function that looks at it:
  //   void CollectPool(const ThreadPool& pool, Collector& collector);
  //   objects.Add<CollectPool>(pool_, kName);
  template <auto kCollect, class Object>
  void Add(const std::shared_ptr<Object>& object, std::string_view kind) {
    objects_.push_back({.object = object,
                        .kind = kind,
                        .name = []([[maybe_unused]] const void* o) -> std::string_view {
                          if constexpr (requires(const Object& named) { named.name(); }) {
                            return static_cast<const Object*>(o)->name();
                          } else {
                            return {};
                          }
                        },
                        .collect =
                            [](const void* o, Collector& collector) {
                              kCollect(*static_cast<const Object*>(o), collector);
                            }});
  }

  std::span<const CollectedObject> all() const& { return objects_; }
  std::span<const CollectedObject> all() const&& = delete;
  std::string NameOfFirst() const {
    if (objects_.empty()) return "";
    const auto object = objects_.front().object.lock();
    return object == nullptr ? "" : std::string(objects_.front().name(object.get()));
  }

 private:
  template <class Object>
  static constexpr auto ObserveOf() {
    using Observe = void (*)(const void*, std::string_view, const std::shared_ptr<Observer>&);
    if constexpr (requires(const Object& o, std::shared_ptr<Observer> to) { o.Observe("", to); }) {
      return Observe(
          [](const void* o, std::string_view name, const std::shared_ptr<Observer>& observer) {
            static_cast<const Object*>(o)->Observe(name, observer);
          });
    } else if constexpr (requires(const Object& o, std::shared_ptr<Observer> to) {
                           o.Observe(to);
                         }) {
      return Observe(
          [](const void* o, std::string_view, const std::shared_ptr<Observer>& observer) {
            static_cast<const Object*>(o)->Observe(observer);
          });
    } else {
      return Observe(nullptr);
    }
  }

  std::vector<CollectedObject> objects_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_COLLECTOR_H_
