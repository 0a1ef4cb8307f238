#include "src/metrics/prometheus_text.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "holdfast/metrics/internal/prometheus_form.h"

namespace holdfast::internal {
namespace {

std::string EscapedValue(const std::string& value) {
  return absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\"", "\\\""}});
}

// The shortest that is read as the same number.
std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

const char* TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kUpDownCounter:
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "untyped";
}

// "a="b",c="d"".
std::string Labels(const std::vector<std::string>& keys, const std::vector<std::string>& values) {
  std::string labels;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    absl::StrAppend(&labels, i == 0 ? "" : ",", PrometheusLabel(keys[i]), "=\"",
                    EscapedValue(values[i]), "\"");
  }
  return labels;
}

void AppendLine(const std::string& name, const std::string& labels, const std::string& value,
                std::string& text) {
  if (labels.empty()) {
    absl::StrAppend(&text, name, " ", value, "\n");
  } else {
    absl::StrAppend(&text, name, "{", labels, "} ", value, "\n");
  }
}

void AppendHistogram(const std::string& name, const std::string& labels,
                     const HistogramCounts& histogram, std::string& text) {
  const std::string bucket = absl::StrCat(name, "_bucket");
  const std::string before = absl::StrCat(labels, labels.empty() ? "" : ",", "le=\"");
  std::uint64_t count = 0;
  for (const CumulativeBucket& cumulative : CumulativeBuckets(histogram)) {
    count = cumulative.count;
    AppendLine(bucket, absl::StrCat(before, NumberText(cumulative.upper_bound), "\""),
               absl::StrCat(count), text);
  }
  AppendLine(absl::StrCat(name, "_sum"), labels, NumberText(histogram.sum), text);
  AppendLine(absl::StrCat(name, "_count"), labels, absl::StrCat(count), text);
}

}  // namespace

std::string PrometheusText(const MetricsSnapshot& snapshot) {
  std::string text;
  for (const MetricFamily& family : snapshot.families()) {
    const std::string& name = family.prometheus_name;
    absl::StrAppend(&text, "# HELP ", name, " ", PrometheusHelp(family.help), "\n# TYPE ", name,
                    " ", TypeName(family.type), "\n");
    for (const MetricSeries& series : family.series) {
      const std::string labels = Labels(family.keys, series.values);
      if (const auto* histogram = std::get_if<HistogramCounts>(&series.value)) {
        AppendHistogram(name, labels, *histogram, text);
      } else if (const auto* count = std::get_if<std::uint64_t>(&series.value)) {
        AppendLine(name, labels, absl::StrCat(*count), text);
      } else {
        AppendLine(name, labels, NumberText(std::get<double>(series.value)), text);
      }
    }
  }
  return text;
}

}  // namespace holdfast::internal
