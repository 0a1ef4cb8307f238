// Searches for stacks that keep a service down once its fault is over.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <optional>

#include "test/search/search.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Draws random stacks that Validate accepts, random clients and faults, and looks in virtual\n"
      "time whether goodput is back once the fault is over. Exits with 1 where it is not.",
      "holdfast_search");
  holdfast::search::SearchOptions options;
  std::int64_t seconds = options.longest.count();
  std::optional<std::uint64_t> replay;
  app.add_option("--seed", options.seed, "One seed, one sequence of draws")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000'000}))
      ->capture_default_str();
  app.add_option("--draws", options.draws, "Stop after so many")->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds, "Draw nothing more after so many")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_option("--examples", options.examples, "Make simple and print so many")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--replay", replay, "Only the draw of this number");
  CLI11_PARSE(app, argc, argv);
  options.longest = std::chrono::seconds(seconds);
  const holdfast::search::Tally tally = replay ? holdfast::search::Replay(*replay, std::cout)
                                               : holdfast::search::Search(options, std::cout);
  std::cout << tally;
  return tally.found() ? 1 : 0;
}
