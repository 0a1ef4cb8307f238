#ifndef HOLDFAST_TEST_HTTP_TOLD_BY_TRANSPORT_H_
#define HOLDFAST_TEST_HTTP_TOLD_BY_TRANSPORT_H_

// What a registry tells of one transport.

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <variant>

#include "holdfast/metrics/metrics.h"

namespace holdfast::test {

class TransportMetrics {
 public:
  explicit TransportMetrics(const Metrics& metrics) : snapshot_(metrics.Snapshot()) {}

  std::uint64_t opened() const { return Only<std::uint64_t>("holdfast.connections.opened"); }
  std::uint64_t reused() const { return Only<std::uint64_t>("holdfast.connections.reused"); }
  double queued() const { return Only<double>("holdfast.connections.queued"); }
  double active() const { return Open("active"); }
  double idle() const { return Open("idle"); }

  // Exchanges with these attributes.
  std::uint64_t exchanges(const std::string& method, const std::string& status,
                          const std::string& error) const {
    std::uint64_t sum = 0;
    ForEach([&](const MetricFamily& family, const MetricSeries& series) {
      if (Value(family, series, "http.request.method") != method ||
          Value(family, series, "http.response.status_code") != status ||
          Value(family, series, "error.type") != error) {
        return;
      }
      sum += CountOf(series);
    });
    return sum;
  }
  std::uint64_t exchanges() const {
    std::uint64_t sum = 0;
    ForEach([&](const MetricFamily&, const MetricSeries& series) { sum += CountOf(series); });
    return sum;
  }
  const MetricsSnapshot& snapshot() const { return snapshot_; }

 private:
  static std::string Value(const MetricFamily& family, const MetricSeries& series,
                           const std::string& key) {
    for (std::size_t i = 0; i < family.keys.size(); ++i) {
      if (family.keys[i] == key) return series.values[i];
    }
    return "no such key";
  }

  static std::uint64_t CountOf(const MetricSeries& series) {
    const auto& counts = std::get<HistogramCounts>(series.value).counts;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }

  template <class F>
  void ForEach(const F& f) const {
    const MetricFamily* const family = snapshot_.Family("http.client.request.duration");
    if (family == nullptr) return;
    for (const MetricSeries& series : family->series) f(*family, series);
  }

  template <class T>
  T Only(const char* name) const {
    return std::get<T>(snapshot_.Family(name)->series.at(0).value);
  }

  double Open(const std::string& state) const {
    const MetricFamily* const family = snapshot_.Family("http.client.open_connections");
    for (const MetricSeries& series : family->series) {
      if (Value(*family, series, "http.connection.state") == state) {
        return std::get<double>(series.value);
      }
    }
    return -1;
  }

  MetricsSnapshot snapshot_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_TOLD_BY_TRANSPORT_H_
