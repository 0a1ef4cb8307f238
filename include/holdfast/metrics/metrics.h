// Metrics is a registry of what stacks and policy objects count.
//
//   holdfast::Metrics metrics({.service_name = "shop"});
//   absl::Status added = metrics.Add("orders", stack);  // and every object that it uses
//   std::string scraped = metrics.Text();      // for Prometheus
//   std::string pushed = metrics.OtlpJson();   // for an OpenTelemetry collector
//   holdfast::MetricsSnapshot snapshot = metrics.Snapshot();  // for a test
#ifndef HOLDFAST_METRICS_METRICS_H_
#define HOLDFAST_METRICS_METRICS_H_

#include <absl/status/status.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/call/collector.h"
#include "holdfast/call/observer.h"
#include "holdfast/metrics/metrics_snapshot.h"
#include "holdfast/metrics/stack_layout.h"

namespace holdfast {

struct MetricsOptions {
  // The most series at a time, >= 1, holdfast.metrics.overflow among them. A histogram is one.
  std::size_t max_series = 2000;
  std::string service_name = "unknown_service";  // service.name, in OtlpJson
  // Whether the stacks that are added measure from then on how long calls, attempts and waits take,
  // for histograms. A call then reads the clock once more and fills one or two of them. And whether
  // HTTP transports measure exchanges, each of which reads the clock once more.
  bool durations = true;
  // Is told the events of all stacks and objects that are added, as by Stack::Observed. Default:
  // none.
  std::shared_ptr<Observer> observer = nullptr;
  // The time, for Snapshot and OtlpJson; called in any thread. A test gives its own.
  std::function<std::chrono::system_clock::time_point()> now = &std::chrono::system_clock::now;
  // Whether the stacks that are added count from then on how many calls run
  // (holdfast.active_calls). A call is then counted twice more.
  bool active_calls = false;
};

// OK, or kInvalidArgument that names the option.
absl::Status Validate(const MetricsOptions& options);

// A Stack, or what else tells the objects that it uses.
template <class S>
concept TellsObjects = requires(const S& stack) {
  { stack.Objects() } -> std::convertible_to<CollectedObjects>;
};

// Knows objects, but does not keep them alive; what is destroyed has no series any more. To look
// changes nothing in them and runs no callback of theirs.
//
// The series of an object have an attribute with its name: holdfast.name, or holdfast.stack for
// what a stack counts itself. An object has the name that it was given when it was made, without
// one that of the stack and its kind ("orders/Retry"). If another object has its name, and its type
// or a metric in common with it, it is numbered: "orders#2". So no two series are equal. What is
// not UTF-8 in a name becomes U+FFFD.
//
// What does not fit into max_series is left out: of the objects, in the order in which they were
// added, the whole of each whose series are more than there is room for. A series is also left out
// whose keys, unit or type are not those of its metric's first series, so that no backend has to
// drop the metric. The counter holdfast.metrics.overflow tells the most series that were ever left
// out at a time.
//
// Thread-safe. Movable; one that was moved from can only be destroyed or assigned to.
class Metrics {
 public:
  // Throws std::invalid_argument with what Validate(options) says unless that is OK.
  explicit Metrics(MetricsOptions options = {});
  Metrics(Metrics&&) noexcept;
  Metrics& operator=(Metrics&&) noexcept;
  ~Metrics();

  // A stack with the objects that it uses, of which one that is known already, as from another
  // stack, keeps its name. kInvalidArgument for an empty name, for the name of a stack that is
  // there, and for a stack that is there under another name. A stack is there while what counts its
  // calls is: that is shared by its copies and by what its Around returned. What tells objects but
  // counts nothing itself is there while any of the objects is.
  template <TellsObjects S>
  absl::Status Add(std::string_view name, const S& stack) {
    return AddStack(name, stack.Objects());
  }

  // One object, under a name or its own. Does nothing if the object is known already.
  // kInvalidArgument for a null one, and for an empty name.
  template <Collectable Object>
  absl::Status Add(std::string_view name, const std::shared_ptr<Object>& object) {
    return AddObject(name, AsCollected(object));
  }
  template <Collectable Object>
  absl::Status Add(const std::shared_ptr<Object>& object) {
    const std::string_view name =
        object == nullptr ? std::string_view() : std::string_view(object->name());
    return AddObject(name, AsCollected(object));
  }
  // The same for a handle of one, as http::Transport, which is there while any of its copies is.
  template <CollectedHandle Handle>
  absl::Status Add(std::string_view name, const Handle& handle) {
    return AddObject(name, AsCollected(&handle));
  }
  template <CollectedHandle Handle>
  absl::Status Add(const Handle& handle) {
    return AddObject(handle.name(), AsCollected(&handle));
  }

  // Prometheus's text format 0.0.4 (Content-Type: text/plain; version=0.0.4). Names are those that
  // OpenTelemetry's translator makes. Histograms have a bucket for each power of two seconds from
  // 2^-20 to 2^7.
  std::string Text() const;

  // The JSON of an ExportMetricsServiceRequest, as OTLP over HTTP takes it at /v1/metrics
  // (Content-Type: application/json). Counters and histograms are cumulative.
  std::string OtlpJson() const;

  MetricsSnapshot Snapshot() const;

  // The stacks that are there, in the order in which they were added, with their policies and the
  // present settings of these. It asks each policy for its Info(), in this thread.
  std::vector<StackLayout> Stacks() const;

  const std::string& service_name() const;

 private:
  struct Impl;

  template <class Object>
  static CollectedObjects AsCollected(const Object& object) {
    CollectedObjects objects;
    if constexpr (CollectedHandle<std::remove_cvref_t<decltype(*object)>>) {
      objects.Add(object == nullptr ? CollectedObject() : object->Collected());
    } else {
      objects.Add(object, "");
    }
    return objects;
  }

  absl::Status AddStack(std::string_view name, const CollectedObjects& objects);
  absl::Status AddObject(std::string_view name, const CollectedObjects& object);

  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_METRICS_H_
