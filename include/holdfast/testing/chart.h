// A chart of simulated results over time, drawn by gnuplot.
//
//   absl::Status drawn = holdfast::testing::WriteSvg(
//       "storm.svg", {{"without a budget", without}, {"with a budget", with}});
//   if (!drawn.ok()) log(drawn);
#ifndef HOLDFAST_TESTING_CHART_H_
#define HOLDFAST_TESTING_CHART_H_

#include <absl/status/status.h>

#include <string>
#include <utility>
#include <vector>

#include "holdfast/testing/results.h"
#include "holdfast/time.h"

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

// A value over time, each until the next: a limit, a number of calls in flight.
struct ChartLine {
  std::string name;
  std::vector<std::pair<Duration, double>> points = {};
};

struct LinesPanel {
  std::string title;
  std::vector<ChartLine> lines;  // the first three are told apart by colour
};

// The same for lines, which panels that follow each other draw alike: the first one names them.
// `of_what` stands beside the axis. The errors are WriteSvg's.
absl::Status WriteLinesSvg(const std::string& path, const std::string& of_what,
                           const std::vector<LinesPanel>& panels);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_CHART_H_
