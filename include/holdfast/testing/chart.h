// A chart of simulated results over time, drawn by gnuplot.
//
//   absl::Status drawn = holdfast::testing::WriteSvg(
//       "storm.svg", {{"without a budget", without}, {"with a budget", with}});
//   if (!drawn.ok()) log(drawn);
#ifndef HOLDFAST_TESTING_CHART_H_
#define HOLDFAST_TESTING_CHART_H_

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "holdfast/testing/results.h"

namespace holdfast::testing {

struct ChartPanel {
  std::string title;
  Results results;
};

// One panel below the other, on one scale: goodput, calls and attempts per second, with the
// servers' failures and brown-outs shaded. Runs gnuplot, and replaces the file. Errors:
//   kInvalidArgument  no panel
//   kNotFound         gnuplot is not installed
//   kUnavailable      it can't be started
//   kUnknown          it failed, as where the file can't be written
absl::Status WriteSvg(const std::string& path, const std::vector<ChartPanel>& panels);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_CHART_H_
