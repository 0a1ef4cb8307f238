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
  return Find(name) != nullptr ? "" : "'" + name + "' is no scenario; --list prints them";
}

void PrintList(std::ostream& out) {
  for (const Scenario& scenario : Scenarios()) {
    out << absl::StrFormat("%-20s %s\n", scenario.name, scenario.story);
  }
}

// Finds out before the run, rather than after it, that the pictures could not be written. Throws
// CLI::ValidationError.
void MakeWritable(const std::string& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  const std::string probe = directory + "/.storm";
  const bool writable = !failed && std::ofstream(probe).is_open();
  if (!writable) throw CLI::ValidationError("--output", "'" + directory + "' can't be written to");
  std::filesystem::remove(probe, failed);
}

std::string OneLine(const CLI::App* app, const CLI::Error& error) {
  return app->get_name() + ": " + error.what() + " (see --help)\n";
}

}  // namespace

std::optional<int> ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app(
      "Simulates what goes wrong between services and their clients, with and without what helps:\n"
      "real policies in virtual time. Prints a table and draws a picture of each scenario.",
      "storm");
  std::vector<std::string> names;
  bool list = false;
  app.add_option("--scenario", names, "Which; may be given more than once (default: all)")
      ->check(CheckScenario)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("NAME");
  app.add_flag("--list", list, "Print the scenarios, and run none");
  app.add_option("--clients", options.clients, "How many; the servers grow with them")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of all randomness: one seed, one table")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  app.add_option("--output", options.output, "Directory for the pictures, as SVG")
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
