// What a search has come to.
#ifndef HOLDFAST_TEST_SEARCH_TALLY_H_
#define HOLDFAST_TEST_SEARCH_TALLY_H_

#include <array>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "test/search/judge.h"

namespace holdfast::search {

struct Tally {
  std::int64_t draws = 0;
  std::map<std::string, std::int64_t> refused;  // by the sentence, without its numbers
  std::set<std::string> shapes;                 // of stacks that were not refused
  std::array<std::int64_t, 6> outcomes = {};    // of those with a budget
  std::array<std::int64_t, 6> unbudgeted = {};
  std::map<std::string, std::int64_t> kinds;  // of counterexamples, by their shape once simple

  void Refuse(std::string_view sentence);
  // Whether any stack with a budget was a counterexample.
  bool found() const;
};

std::ostream& operator<<(std::ostream& out, const Tally& tally);

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_TALLY_H_
