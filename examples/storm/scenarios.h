// The scenarios: incidents of a service and its clients, each with and without the policies that
// help.
//
//   for (const storm::Scenario& scenario : storm::Scenarios()) {
//     for (const storm::Variant& variant : scenario.variants) {
//       for (const storm::Outcome& outcome : variant.run({.seed = 7})) Print(outcome);
//     }
//   }
#ifndef HOLDFAST_EXAMPLES_STORM_SCENARIOS_H_
#define HOLDFAST_EXAMPLES_STORM_SCENARIOS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "examples/support/chart.h"
#include "holdfast/base/time.h"
#include "holdfast/testing/results.h"

namespace storm {

struct Settings {
  std::uint64_t seed = 1;
  // 1 to 1,000,000. The servers' capacity grows with their number, so that the outcome does not
  // depend on it; fewer than a thousand clients call more often instead.
  std::int64_t clients = 10'000;
  // Called as virtual time passes; returns false to stop the run.
  std::function<bool(holdfast::Duration now)> progress = nullptr;
};

// The results of one kind of call in one variant: a row of the table, a panel of the SVG.
struct Outcome {
  std::string name;
  holdfast::testing::Results results;
  holdfast::testing::Disturbance disturbance;
  // Since the end of the disturbance; nullopt: not recovered by the end of the run.
  std::optional<holdfast::Duration> recovered;
  // What the panel shows; empty: the results.
  std::vector<support::ChartLine> lines = {};

  // The highest number of attempts per second after the disturbance.
  double PeakAfter() const;
};

struct Variant {
  std::string name;
  std::function<std::vector<Outcome>(const Settings&)> run;
};

struct Scenario {
  std::string name;
  std::string story;          // in one line
  holdfast::Duration length;  // of a variant, in virtual time
  std::vector<Variant> variants;
};

const std::vector<Scenario>& Scenarios();
const Scenario* Find(const std::string& name);  // null: no scenario has that name

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_SCENARIOS_H_
