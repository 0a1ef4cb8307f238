// The tables of names in docs/metrics.md, and what a registry tells.
#ifndef HOLDFAST_TEST_METRICS_NAME_TABLE_H_
#define HOLDFAST_TEST_METRICS_NAME_TABLE_H_

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "holdfast/metrics/metrics.h"
#include "test/support/catch.h"

namespace holdfast::test {

// The type, the unit, and the keys of the attributes.
using NameTableRow = std::tuple<std::string, std::string, std::set<std::string>>;
using NameTable = std::map<std::string, NameTableRow>;

// The heading above the metrics that only a program with holdfast::http can tell.
inline constexpr std::string_view kHttpSection = "### What an HTTP transport counts";

// What stands between backquotes.
inline std::vector<std::string> Quoted(const std::string& cell) {
  std::vector<std::string> quoted;
  std::istringstream parts(cell);
  bool inside = false;
  for (std::string part; std::getline(parts, part, '`'); inside = !inside) {
    if (inside) quoted.push_back(part);
  }
  return quoted;
}

inline std::string Trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// The rows of the page's tables whose columns are metric, type, unit, attributes and text, where
// `wants` says so of the heading above.
template <class Wants>
NameTable DocumentedIn(const char* path, const Wants& wants) {
  std::ifstream page(path);
  REQUIRE(page.good());
  NameTable table;
  std::string section;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("##")) section = line;
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, '|');) cells.push_back(cell);
    const bool is_metric = cells.size() == 6 &&
                           (cells[1].starts_with(" `holdfast.") || cells[1].starts_with(" `http."));
    if (!is_metric || !wants(section)) continue;
    const std::vector<std::string> unit = Quoted(cells[3]);
    const std::vector<std::string> keys = Quoted(cells[4]);
    const bool is_new =
        table
            .emplace(Quoted(cells[1]).front(),
                     NameTableRow(Trimmed(cells[2]), unit.empty() ? "" : unit.front(),
                                  std::set<std::string>(keys.begin(), keys.end())))
            .second;
    CHECK(is_new);
  }
  return table;
}

inline std::string NameOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kUpDownCounter:
      return "updowncounter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "";
}

inline NameTable ToldBy(const Metrics& metrics) {
  NameTable table;
  const MetricsSnapshot snapshot = metrics.Snapshot();
  for (const MetricFamily& family : snapshot.families()) {
    table.emplace(family.name,
                  NameTableRow(NameOf(family.type), family.unit,
                               std::set<std::string>(family.keys.begin(), family.keys.end())));
  }
  return table;
}

// Both ways.
inline void CheckDocumented(const NameTable& told, const NameTable& documented) {
  for (const auto& [name, row] : told) {
    INFO(name);
    REQUIRE(documented.contains(name));
    CHECK(documented.at(name) == row);
  }
  for (const auto& [name, row] : documented) {
    INFO(name);
    CHECK(told.contains(name));
  }
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_NAME_TABLE_H_
