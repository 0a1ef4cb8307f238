#ifndef HOLDFAST_TEST_METRICS_BRIDGES_FAKE_METER_H_
#define HOLDFAST_TEST_METRICS_BRIDGES_FAKE_METER_H_

// A Meter of OpenTelemetry's API, or of the stand-in for it, that keeps what is observed.

#include <opentelemetry/common/key_value_iterable.h>
#include <opentelemetry/metrics/async_instruments.h>
#include <opentelemetry/metrics/meter.h>
#include <opentelemetry/metrics/observer_result.h>
#ifndef HOLDFAST_OPENTELEMETRY_STAND_IN
#include <opentelemetry/metrics/sync_instruments.h>
#include <opentelemetry/nostd/unique_ptr.h>
#endif

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::test {

namespace otel = opentelemetry::metrics;
namespace nostd = opentelemetry::nostd;

// The attributes of a series as "a=b,c=5i", where i marks an integer, and its value.
using Observations = std::map<std::string, double>;

template <class T>
class KeepingResult final : public otel::ObserverResultT<T> {
 public:
  explicit KeepingResult(Observations& observations) : observations_(observations) {}

  void Observe(T value) noexcept override { observations_[""] = static_cast<double>(value); }
  void Observe(T value,
               const opentelemetry::common::KeyValueIterable& attributes) noexcept override {
    std::string text;
    attributes.ForEachKeyValue(
        [&text](nostd::string_view key, opentelemetry::common::AttributeValue value_of) {
          if (!text.empty()) text += ",";
          text.append(key.data(), key.size()).append("=");
          if (nostd::holds_alternative<std::int64_t>(value_of)) {
            text += std::to_string(nostd::get<std::int64_t>(value_of)) + "i";
          } else {
            const auto& string = nostd::get<nostd::string_view>(value_of);
            text.append(string.data(), string.size());
          }
          return true;
        });
    observations_[text] = static_cast<double>(value);
  }

 private:
  Observations& observations_;
};

// The callbacks of all instruments, as the SDK has them: under one lock, which it holds while it
// calls them.
class Callbacks {
 public:
  struct One {
    otel::ObservableInstrument* instrument;
    otel::ObservableCallbackPtr callback;
    void* state;
    std::string name;
    bool integers;
    bool operator==(const One&) const = default;
  };

  void Add(One one) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(one));
  }
  void Remove(const One& one) {
    const std::lock_guard lock(mutex_);
    std::erase(all_, one);
  }
  // What each instrument observes, by its name.
  std::map<std::string, Observations> Collect() const {
    std::map<std::string, Observations> result;
    const std::lock_guard lock(mutex_);
    for (const One& one : all_) {
      Observations& observations = result[one.name];
      if (one.integers) {
        one.callback(Result<std::int64_t>(observations), one.state);
      } else {
        one.callback(Result<double>(observations), one.state);
      }
    }
    return result;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return all_.size();
  }

 private:
  template <class T>
  static otel::ObserverResult Result(Observations& observations) {
    return nostd::shared_ptr<otel::ObserverResultT<T>>(std::shared_ptr<otel::ObserverResultT<T>>(
        std::make_shared<KeepingResult<T>>(observations)));
  }

  mutable std::mutex mutex_;
  std::vector<One> all_;
};

class FakeInstrument final : public otel::ObservableInstrument {
 public:
  FakeInstrument(std::shared_ptr<Callbacks> callbacks, std::string name, bool integers)
      : callbacks_(std::move(callbacks)), name_(std::move(name)), integers_(integers) {}
  void AddCallback(otel::ObservableCallbackPtr callback, void* state) noexcept override {
    callbacks_->Add({this, callback, state, name_, integers_});
  }
  void RemoveCallback(otel::ObservableCallbackPtr callback, void* state) noexcept override {
    callbacks_->Remove({this, callback, state, name_, integers_});
  }

 private:
  std::shared_ptr<Callbacks> callbacks_;
  std::string name_;
  bool integers_;
};

class FakeMeter final : public otel::Meter {
 public:
  using Instrument = nostd::shared_ptr<otel::ObservableInstrument>;
  using Text = nostd::string_view;

  Instrument CreateInt64ObservableCounter(Text name, Text help, Text unit) noexcept override {
    return Make("counter", name, help, unit, true);
  }
  Instrument CreateDoubleObservableGauge(Text name, Text help, Text unit) noexcept override {
    return Make("gauge", name, help, unit, false);
  }
  Instrument CreateDoubleObservableUpDownCounter(Text name, Text help,
                                                 Text unit) noexcept override {
    return Make("updowncounter", name, help, unit, false);
  }
#ifndef HOLDFAST_OPENTELEMETRY_STAND_IN
  template <class T>
  using Own = nostd::unique_ptr<T>;
  Own<otel::Counter<std::uint64_t>> CreateUInt64Counter(Text, Text, Text) noexcept override {
    return {};
  }
  Own<otel::Counter<double>> CreateDoubleCounter(Text, Text, Text) noexcept override { return {}; }
  Instrument CreateDoubleObservableCounter(Text, Text, Text) noexcept override { return {}; }
  Own<otel::Histogram<std::uint64_t>> CreateUInt64Histogram(Text, Text, Text) noexcept override {
    return {};
  }
  Own<otel::Histogram<double>> CreateDoubleHistogram(Text, Text, Text) noexcept override {
    return {};
  }
  Instrument CreateInt64ObservableGauge(Text, Text, Text) noexcept override { return {}; }
  Own<otel::UpDownCounter<std::int64_t>> CreateInt64UpDownCounter(Text, Text,
                                                                  Text) noexcept override {
    return {};
  }
  Own<otel::UpDownCounter<double>> CreateDoubleUpDownCounter(Text, Text, Text) noexcept override {
    return {};
  }
  Instrument CreateInt64ObservableUpDownCounter(Text, Text, Text) noexcept override { return {}; }
#endif

  // "counter|unit|help", by name.
  const std::map<std::string, std::string>& made() const { return made_; }
  const std::shared_ptr<Callbacks>& callbacks() const { return callbacks_; }

 private:
  Instrument Make(const std::string& kind, Text name, Text help, Text unit, bool integers) {
    const std::string own(name.data(), name.size());
    made_[own] = kind + "|" + std::string(unit.data(), unit.size()) + "|" +
                 std::string(help.data(), help.size());
    return Instrument(std::shared_ptr<otel::ObservableInstrument>(
        std::make_shared<FakeInstrument>(callbacks_, own, integers)));
  }

  std::shared_ptr<Callbacks> callbacks_ = std::make_shared<Callbacks>();
  std::map<std::string, std::string> made_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_BRIDGES_FAKE_METER_H_
