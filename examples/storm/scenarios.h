// The storms: what goes wrong with a service and its clients, each with and without what helps.
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
  // The servers are as large as so many need, so that the story does not change with their number;
  // under a thousand clients call more often instead.
  std::int64_t clients = 10'000;
  // Called as time passes in the world; what it returns is whether to go on.
  std::function<bool(holdfast::Duration now)> progress = nullptr;
};

// What one kind of call went through in one variant: a row of the table, a panel of the picture.
struct Outcome {
  std::string name;
  holdfast::testing::Results results;
  holdfast::testing::Disturbance disturbance;
  // After the disturbance; nullopt: not by the end.
  std::optional<holdfast::Duration> recovered;
  // What the picture is of, if it is not the results.
  std::vector<support::ChartLine> lines = {};

  // The most attempts per second once the disturbance was over.
  double PeakAfter() const;
};

struct Variant {
  std::string name;
  std::function<std::vector<Outcome>(const Settings&)> run;
};

struct Scenario {
  std::string name;
  std::string story;          // in one line
  holdfast::Duration length;  // of a variant, in the world's time
  std::vector<Variant> variants;
};

const std::vector<Scenario>& Scenarios();
const Scenario* Find(const std::string& name);  // null: there is none

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_SCENARIOS_H_
