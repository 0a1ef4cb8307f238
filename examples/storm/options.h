// The command line of storm.
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
  std::string output = "holdfast-storm";  // an existing, writable directory
};

// Reads `options` from the command line. Returns an exit status if the program is done: it has
// printed help, the list, or what is wrong with an argument.
std::optional<int> ParseOptions(int argc, char** argv, Options& options);

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_OPTIONS_H_
