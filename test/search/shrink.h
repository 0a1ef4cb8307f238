// Makes a counterexample as simple as it can be and still is one.
#ifndef HOLDFAST_TEST_SEARCH_SHRINK_H_
#define HOLDFAST_TEST_SEARCH_SHRINK_H_

#include <chrono>
#include <functional>

#include "test/search/judge.h"
#include "test/search/scenario.h"

namespace holdfast::search {

// Drops policies, and puts options of the stack, the clients, the service and the fault back to
// their defaults, one after the other, while `fails` says so. It is asked no more after
// `longest`, of real time.
Scenario Shrink(Scenario scenario, const std::function<bool(Scenario&)>& fails,
                std::chrono::steady_clock::duration longest);

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_SHRINK_H_
