// Reports the scenarios: one table of all, and an SVG of each.
#ifndef HOLDFAST_EXAMPLES_STORM_REPORT_H_
#define HOLDFAST_EXAMPLES_STORM_REPORT_H_

#include <absl/status/status.h>

#include <ostream>
#include <string>
#include <vector>

#include "scenarios.h"

namespace storm {

// The outcomes of one scenario, also of an interrupted one.
struct ScenarioRun {
  const Scenario* scenario = nullptr;
  std::vector<Outcome> outcomes;
  bool complete = true;  // false: the last variant's outcomes end before their time
};

void PrintTable(std::ostream& out, const std::vector<ScenarioRun>& runs);

// Draws to the SVG file `path` with gnuplot: kNotFound where that is not installed.
absl::Status Draw(const std::string& path, const ScenarioRun& run);

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_REPORT_H_
