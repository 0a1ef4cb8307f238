// The policies that the search knows: how to draw the options of each.
#ifndef HOLDFAST_TEST_SEARCH_POLICIES_H_
#define HOLDFAST_TEST_SEARCH_POLICIES_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "holdfast/base/time.h"
#include "test/search/fields.h"
#include "test/search/part.h"

namespace holdfast::search {

// What a policy is made for: of one process, where it is made, and what its calls are like, which
// only the drawing looks at.
struct Surroundings {
  std::uint64_t seed = 1;
  double rate = 100;                                 // calls per second
  Duration service = std::chrono::milliseconds(20);  // of a request, on average
};

// To add one: a function that visits its options, in their order, and a line in Policies().
struct Policy {
  std::string_view name;
  Part (*make)(Fields& fields, const Surroundings& around);
  double share;           // of the stacks that have it
  std::string_view code;  // `name(` and what it needs before its settings
};

// In the order in which most stacks have them, outermost first.
const std::vector<Policy>& Policies();

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_POLICIES_H_
