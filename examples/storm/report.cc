#include "report.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "examples/support/chart.h"

namespace storm {
namespace {

using namespace std::chrono_literals;
using holdfast::Duration;
using holdfast::testing::Moment;
using holdfast::testing::Results;

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Of the calls that have ended; rounded down, so that 100 % is all of them.
std::string SuccessPercent(const Results& results, int digits) {
  const double scale = digits == 1 ? 10 : 100;
  const double ended =
      static_cast<double>(std::max<std::int64_t>(1, results.calls - results.in_flight()));
  const double share = static_cast<double>(results.successes) / ended;
  return absl::StrFormat("%.*f", digits, std::floor(100 * scale * share) / scale);
}

std::string Time(Duration duration) {
  return duration < 1s ? absl::StrFormat("%.0f ms", Seconds(duration) * 1e3)
                       : absl::StrFormat("%.1f s", Seconds(duration));
}

std::string Recovered(const Outcome& outcome) {
  if (outcome.results.end < outcome.disturbance.to) return "-";
  return outcome.recovered ? absl::StrFormat("%.1f s", Seconds(*outcome.recovered)) : "never";
}

void PrintRow(std::ostream& out, const std::string& scenario, const Outcome& outcome) {
  const Results& results = outcome.results;
  out << absl::StrFormat("%-19s %-20s %10d %8s%% %9.2f %9.0f %8s %8s %10s\n", scenario,
                         outcome.name, results.calls, SuccessPercent(results, 2),
                         results.Amplification(), outcome.PeakAfter(),
                         Time(results.latencies.Percentile(0.5)),
                         Time(results.latencies.Percentile(0.99)), Recovered(outcome));
}

// Two bars in place of each four: half the file.
Results Halved(Results results) {
  std::vector<Moment> halved((results.timeline.size() + 1) / 2);
  for (std::size_t i = 0; i < results.timeline.size(); ++i) {
    const Moment& moment = results.timeline[i];
    halved[i / 2].calls += moment.calls;
    halved[i / 2].attempts += moment.attempts;
    halved[i / 2].successes += moment.successes;
    halved[i / 2].failures += moment.failures;
  }
  results.timeline = std::move(halved);
  results.bucket *= 2;
  return results;
}

std::string Caption(const Outcome& outcome) {
  const Results& results = outcome.results;
  const std::string recovery = !outcome.recovered ? "not back by the end"
                               : *outcome.recovered == Duration::zero()
                                   ? "back at once"
                                   : "back after " + Time(*outcome.recovered);
  return absl::StrFormat("%s: %s %% succeed, %.2f attempts per call, p99 %s, %s", outcome.name,
                         SuccessPercent(results, 1), results.Amplification(),
                         Time(results.latencies.Percentile(0.99)), recovery);
}

}  // namespace

void PrintTable(std::ostream& out, const std::vector<ScenarioRun>& runs) {
  out << absl::StrFormat("%-19s %-20s %10s %9s %9s %9s %8s %8s %10s\n", "scenario", "variant",
                         "calls", "success", "attempts", "peak", "p50", "p99", "recovered")
      << absl::StrFormat("%-19s %-20s %10s %9s %9s %9s %8s %8s %10s\n", "", "", "", "", "per call",
                         "per s", "", "", "after");
  for (const ScenarioRun& run : runs) {
    std::string name = run.scenario->name;
    for (const Outcome& outcome : run.outcomes) {
      PrintRow(out, name, outcome);
      name.clear();
    }
    if (!run.complete && !run.outcomes.empty()) {
      out << absl::StrFormat("%20s(stopped at %.0f of %.0f s)\n", "",
                             Seconds(run.outcomes.back().results.end),
                             Seconds(run.scenario->length));
    }
  }
  out << "\nLatencies: of all calls, failed ones included. Attempts: those that reach the servers. "
         "Peak and recovered\ncount from the end of the fault. Recovered: nine of ten calls "
         "succeed "
         "(thundering-herd: 99 of 100\nclients are connected; adaptive-limits: successes per "
         "second are nine tenths of those before).\n";
}

absl::Status Draw(const std::string& path, const ScenarioRun& run) {
  if (!run.outcomes.empty() && !run.outcomes.front().lines.empty()) {
    std::vector<support::LinesPanel> panels;
    panels.reserve(run.outcomes.size());
    for (const Outcome& outcome : run.outcomes) panels.push_back({Caption(outcome), outcome.lines});
    return support::WriteLinesSvg(path, "calls at once", panels);
  }
  std::vector<support::ChartPanel> panels;
  for (const Outcome& outcome : run.outcomes) {
    const bool fine = outcome.results.bucket < 1s;
    panels.push_back({Caption(outcome), fine ? outcome.results : Halved(outcome.results)});
  }
  return support::WriteSvg(path, panels);
}

}  // namespace storm
