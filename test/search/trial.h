// A trial is a scenario, run once in a simulated world.
#ifndef HOLDFAST_TEST_SEARCH_TRIAL_H_
#define HOLDFAST_TEST_SEARCH_TRIAL_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/testing/server.h"
#include "test/search/part.h"
#include "test/search/scenario.h"

namespace holdfast::search {

// What a trial is about, without what is drawn: also for stacks that are written down.
struct Setup {
  Clients clients;
  std::vector<testing::ServerOptions> servers;  // each attempt goes to one of them, at random
  std::function<Parts(std::uint64_t process)> make_parts;
};

struct Timeline {
  static constexpr Duration kBucket = std::chrono::milliseconds(100);

  std::vector<std::int32_t> calls = {};      // that began, by bucket
  std::vector<std::int32_t> successes = {};  // that ended, likewise
  std::int64_t attempts = 0;                 // that reached a server
  bool too_long = false;                     // it was ended before its time, for its calls

  std::int64_t CallsIn(Duration from, Duration to) const { return Sum(calls, from, to); }
  std::int64_t SuccessesIn(Duration from, Duration to) const { return Sum(successes, from, to); }

 private:
  static std::int64_t Sum(const std::vector<std::int32_t>& counts, Duration from, Duration to);
};

// The most calls of a trial.
inline constexpr std::int64_t kMostCalls = 400'000;

Timeline Run(const Setup& setup, std::uint64_t seed, Duration length);

// The servers with the fault from `from`, or without one for a null fault; and the policies with
// what they draw for `seed`.
Setup SetupOf(Scenario& scenario, std::uint64_t seed, const Fault* fault, Duration from);

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_TRIAL_H_
