#include "examples/support/chart.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/substitute.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "examples/support/gnuplot.h"

namespace support {
namespace {

using holdfast::Duration;
using holdfast::testing::Disturbance;
using holdfast::testing::Moment;
using holdfast::testing::Results;

constexpr char kGoodputColor[] = "#4c9f70";
constexpr char kCallsColor[] = "#22304a";
constexpr char kAttemptsColor[] = "#cf4446";
constexpr double kAir = 1.1;  // over the highest of what is drawn

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// The middle of each bucket, successes, calls and attempts per second.
std::string DataBlock(std::size_t panel, const Results& results) {
  const double width = Seconds(results.bucket);
  std::string block = absl::StrCat("$data", panel, " << EOD\n");
  for (std::size_t i = 0; i < results.timeline.size(); ++i) {
    const Moment& moment = results.timeline[i];
    const auto rate = [width](std::int64_t count) { return static_cast<double>(count) / width; };
    absl::StrAppendFormat(&block, "%.6f %g %g %g\n", (static_cast<double>(i) + 0.5) * width,
                          rate(moment.successes), rate(moment.calls), rate(moment.attempts));
  }
  return block + "EOD\n";
}

double Highest(const Results& results) {
  double highest = 1;
  for (const Moment& moment : results.timeline) {
    const std::int64_t most = std::max({moment.calls, moment.attempts, moment.successes});
    highest = std::max(highest, static_cast<double>(most) / Seconds(results.bucket));
  }
  return highest;
}

std::string Shades(const Results& results) {
  std::string shades;
  for (const Disturbance& disturbance : results.disturbances) {
    absl::StrAppend(&shades, Shade(Seconds(disturbance.from), Seconds(disturbance.to)));
  }
  return shades;
}

// The legend stands over the first panel.
std::string Panel(std::size_t index, const ChartPanel& panel) {
  const auto title = [index](const char* text) {
    return index == 0 ? absl::StrCat("title '", text, "'") : std::string("notitle");
  };
  return absl::Substitute(
      "unset object\nunset label\n$0"
      "set label $1 at graph 0, graph 1.06 left font ',15'\n"
      "plot $$data$2 using 1:2 with boxes fc rgb '$3' $4, $$data$2 using 1:4 with lines lw 2 lc "
      "rgb "
      "'$5' $6, $$data$2 using 1:3 with lines lw 2 lc rgb '$7' $8\n",
      Shades(panel.results), Quoted(panel.title), index, kGoodputColor, title("succeeded"),
      kAttemptsColor, title("attempts"), kCallsColor, title("calls"));
}

std::string Script(const std::string& path, const std::vector<ChartPanel>& panels) {
  std::string script;
  double highest = 1;
  double end = 1e-9;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    absl::StrAppend(&script, DataBlock(i, panels[i].results));
    highest = std::max(highest, Highest(panels[i].results));
    end = std::max(end, Seconds(panels[i].results.end));
  }
  absl::StrAppend(&script, BeginPage({.path = path,
                                      .panels = static_cast<int>(panels.size()),
                                      .end = end,
                                      .top = highest * kAir,
                                      .label = "per second"}));
  absl::SubstituteAndAppend(&script, "set boxwidth $0\n", Seconds(panels[0].results.bucket) * 0.9);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    // Under the last one only: above a title there is no room for it.
    if (i + 1 == panels.size()) absl::StrAppend(&script, "set xlabel 'seconds' offset 0,0.8\n");
    absl::StrAppend(&script, Panel(i, panels[i]));
  }
  return script + "unset multiplot\n";
}

std::string LinesPanelScript(std::size_t index, const LinesPanel& panel) {
  constexpr const char* kColors[] = {kAttemptsColor, kCallsColor, kGoodputColor};
  std::string data;
  std::string plots;
  for (std::size_t i = 0; i < panel.lines.size(); ++i) {
    const ChartLine& line = panel.lines[i];
    absl::StrAppendFormat(&data, "$line%d_%d << EOD\n", index, i);
    for (const auto& [at, value] : line.points) {
      absl::StrAppendFormat(&data, "%.6f %g\n", Seconds(at), value);
    }
    absl::StrAppend(&data, "EOD\n");
    absl::SubstituteAndAppend(&plots, "$0$$line$1_$2 using 1:2 with steps lw 2 lc rgb '$3' $4",
                              i == 0 ? "" : ", ", index, i, kColors[i % std::size(kColors)],
                              index == 0 ? "title " + Quoted(line.name) : "notitle");
  }
  return absl::Substitute(
      "$0unset label\nset label $1 at graph 0, graph 1.06 left font ',15'\nplot $2\n", data,
      Quoted(panel.title), plots);
}

// Those of a chart with nothing in it would be empty.
constexpr double kLeast = 1e-9;

std::string LinesScript(const std::string& path, const std::string& of_what,
                        const std::vector<LinesPanel>& panels) {
  double end = kLeast;
  double highest = kLeast;
  for (const LinesPanel& panel : panels) {
    for (const ChartLine& line : panel.lines) {
      for (const auto& [at, value] : line.points) {
        end = std::max(end, Seconds(at));
        highest = std::max(highest, value);
      }
    }
  }
  std::string script = BeginPage({.path = path,
                                  .panels = static_cast<int>(panels.size()),
                                  .end = end,
                                  .top = highest * kAir,
                                  .label = of_what});
  for (std::size_t i = 0; i < panels.size(); ++i) {
    if (i + 1 == panels.size()) absl::StrAppend(&script, "set xlabel 'seconds' offset 0,0.8\n");
    absl::StrAppend(&script, LinesPanelScript(i, panels[i]));
  }
  return script + "unset multiplot\n";
}

}  // namespace

absl::Status WriteSvg(const std::string& path, const std::vector<ChartPanel>& panels) {
  if (panels.empty()) return absl::InvalidArgumentError("empty chart");
  return Draw(Script(path, panels));
}

absl::Status WriteLinesSvg(const std::string& path, const std::string& of_what,
                           const std::vector<LinesPanel>& panels) {
  const auto has_none = [](const LinesPanel& panel) {
    return panel.lines.empty() ||
           std::any_of(panel.lines.begin(), panel.lines.end(),
                       [](const ChartLine& line) { return line.points.empty(); });
  };
  if (panels.empty() || std::any_of(panels.begin(), panels.end(), has_none)) {
    return absl::InvalidArgumentError("empty chart");
  }
  return Draw(LinesScript(path, of_what, panels));
}

}  // namespace support
