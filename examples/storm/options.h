// The storm's command line.
#ifndef HOLDFAST_EXAMPLES_STORM_OPTIONS_H_
#define HOLDFAST_EXAMPLES_STORM_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scenarios.h"

namespace storm {

struct Options {
  std::vector<const Scenario*> scenarios;  // in the order of Scenarios()
  std::int64_t clients = Settings().clients;
  std::uint64_t seed = Settings().seed;
  std::string output = "holdfast-storm";  // a directory that is there and can be written to
};

// Reads `options` from the command line. A value is the exit status of a program that has nothing
// more to do: help or the list was asked for, or an argument was wrong and that has been said.
std::optional<int> ParseOptions(int argc, char** argv, Options& options);

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_OPTIONS_H_
