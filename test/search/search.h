// Draws scenarios, judges them, and makes simple what it finds.
#ifndef HOLDFAST_TEST_SEARCH_SEARCH_H_
#define HOLDFAST_TEST_SEARCH_SEARCH_H_

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>

#include "test/search/tally.h"

namespace holdfast::search {

struct SearchOptions {
  std::uint64_t seed = 1;
  std::int64_t draws = std::numeric_limits<std::int64_t>::max();
  std::chrono::seconds longest{60};
  std::int64_t examples = 5;  // counterexamples that are made simple and told
};

Tally Search(const SearchOptions& options, std::ostream& out);

// One scenario by its seed; what it is as drawn, and once simple.
Tally Replay(std::uint64_t seed, std::ostream& out);

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_SEARCH_H_
