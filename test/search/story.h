// What people read of a counterexample.
#ifndef HOLDFAST_TEST_SEARCH_STORY_H_
#define HOLDFAST_TEST_SEARCH_STORY_H_

#include <string>

#include "test/search/scenario.h"

namespace holdfast::search {

// `holdfast::Stack(...)`, as code that compiles.
std::string StackCode(const Scenario& scenario);

// The stack, its world in a few lines of comment, and goodput over time with the fault and without.
std::string Tell(Scenario& scenario);

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_STORY_H_
