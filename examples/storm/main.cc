// Runs each scenario in a simulated world, with and without the policies that help, and reports it
// as a table and as SVGs.
#include <absl/strings/str_format.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <iterator>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "examples/support/interrupt.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "scenarios.h"

namespace storm {
namespace {

constexpr int kInterrupted = 130;  // the exit status that a shell reports after SIGINT

ScenarioRun RunScenario(const Scenario& scenario, const Options& options,
                        const std::stop_token& stop) {
  ScenarioRun run;
  run.scenario = &scenario;
  for (const Variant& variant : scenario.variants) {
    if (stop.stop_requested()) break;
    ProgressLine line(scenario.name + ", " + variant.name, scenario.length);
    std::vector<Outcome> outcomes = variant.run(
        {.seed = options.seed, .clients = options.clients, .progress = [&](holdfast::Duration now) {
           line.Show(now);
           return !stop.stop_requested();
         }});
    run.complete = outcomes.empty() || outcomes.back().results.end == scenario.length;
    std::move(outcomes.begin(), outcomes.end(), std::back_inserter(run.outcomes));
  }
  return run;
}

// Returns false if a picture could not be drawn for a reason other than a missing gnuplot.
bool DrawAll(const Options& options, const std::vector<ScenarioRun>& runs) {
  for (const ScenarioRun& run : runs) {
    const std::string path = options.output + "/" + run.scenario->name + ".svg";
    const absl::Status drawn = Draw(path, run);
    if (!drawn.ok()) {
      std::cerr << "storm: cannot draw " << path << ": " << drawn.message() << '\n';
      return absl::IsNotFound(drawn);
    }
    std::cout << "Picture: " << path << '\n';
  }
  return true;
}

int Main(const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);  // of a gnuplot that ends early: WriteSvg says so
  const support::Interrupt interrupt;
  const std::stop_token stop = interrupt.token();
  std::cout << absl::StrFormat("%d clients, seed %d\n\n", options.clients, options.seed)
            << std::flush;
  std::vector<ScenarioRun> runs;
  for (const Scenario* scenario : options.scenarios) {
    if (stop.stop_requested()) break;
    runs.push_back(RunScenario(*scenario, options, stop));
  }
  PrintTable(std::cout, runs);
  if (stop.stop_requested()) {
    std::cerr << "storm: interrupted\n";
    return kInterrupted;
  }
  std::cout << '\n';
  return DrawAll(options, runs) ? 0 : 1;
}

}  // namespace
}  // namespace storm

int main(int argc, char** argv) {
  storm::Options options;
  if (const std::optional<int> status = storm::ParseOptions(argc, argv, options)) return *status;
  try {
    return storm::Main(options);
  } catch (const std::exception& error) {
    std::cerr << "storm: " << error.what() << '\n';
    return 1;
  }
}
