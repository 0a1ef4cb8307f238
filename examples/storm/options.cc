#include "options.h"

#include <absl/strings/str_format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <system_error>

namespace storm {
namespace {

std::string CheckScenario(const std::string& name) {
  return Find(name) != nullptr ? "" : "'" + name + "' is not a scenario; see --list";
}

void PrintList(std::ostream& out) {
  for (const Scenario& scenario : Scenarios()) {
    out << absl::StrFormat("%-20s %s\n", scenario.name, scenario.story);
  }
}

// Checks before the run, rather than after it, whether the SVGs can be written. Throws
// CLI::ValidationError if not.
void MakeWritable(const std::string& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  const std::string probe = directory + "/.storm";
  const bool writable = !failed && std::ofstream(probe).is_open();
  if (!writable) throw CLI::ValidationError("--output", "'" + directory + "' is not writable");
  std::filesystem::remove(probe, failed);
}

std::string OneLine(const CLI::App* app, const CLI::Error& error) {
  return app->get_name() + ": " + error.what() + " (see --help)\n";
}

}  // namespace

std::optional<int> ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app(
      "Simulates retry storms, thundering herds and other incidents in virtual time, with and\n"
      "without policies. Prints a table and writes an SVG for each scenario.",
      "storm");
  std::vector<std::string> names;
  bool list = false;
  app.add_option("--scenario", names, "Scenario to run (repeatable; default: all)")
      ->check(CheckScenario)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("NAME");
  app.add_flag("--list", list, "Print the scenarios and exit");
  app.add_option("--clients", options.clients,
                 "Number of clients; the servers' capacity grows with it")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--seed", options.seed,
                 "Seed of all randomness; the same seed gives the same table")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  app.add_option("--output", options.output, "Directory to write the SVGs to")
      ->type_name("DIR")
      ->capture_default_str();
  app.failure_message(OneLine);
  try {
    app.parse(argc, argv);
    if (!list) MakeWritable(options.output);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (list) {
    PrintList(std::cout);
    return 0;
  }
  for (const Scenario& scenario : Scenarios()) {
    const bool named = std::find(names.begin(), names.end(), scenario.name) != names.end();
    if (named || names.empty()) options.scenarios.push_back(&scenario);
  }
  return std::nullopt;
}

}  // namespace storm
