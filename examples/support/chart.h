// A chart of simulated results over time, drawn by gnuplot.
//
//   absl::Status drawn =
//       support::WriteSvg("storm.svg", {{"without a budget", without}, {"with a budget", with}});
#ifndef HOLDFAST_EXAMPLES_SUPPORT_CHART_H_
#define HOLDFAST_EXAMPLES_SUPPORT_CHART_H_

#include <absl/status/status.h>

#include <string>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/testing/results.h"

namespace support {

struct ChartPanel {
  std::string title;
  holdfast::testing::Results results;
};

// One panel below the other, on one scale: goodput, calls and attempts per second, with the
// servers' failures and brown-outs shaded. Replaces the file. Errors: kInvalidArgument without a
// panel, and those of Draw (gnuplot.h).
absl::Status WriteSvg(const std::string& path, const std::vector<ChartPanel>& panels);

// A value over time, each until the next: a limit, a number of calls in flight.
struct ChartLine {
  std::string name;
  std::vector<std::pair<holdfast::Duration, double>> points = {};
};

struct LinesPanel {
  std::string title;
  std::vector<ChartLine> lines;  // the first three differ in color
};

// The same for lines, which panels that follow each other draw alike: the first one names them.
// `of_what` stands beside the axis. The errors are WriteSvg's.
absl::Status WriteLinesSvg(const std::string& path, const std::string& of_what,
                           const std::vector<LinesPanel>& panels);

}  // namespace support

#endif  // HOLDFAST_EXAMPLES_SUPPORT_CHART_H_
