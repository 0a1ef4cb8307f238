// A Part is one policy of a stack that is made up at run time, with what the search knows of it.
#ifndef HOLDFAST_TEST_SEARCH_PART_H_
#define HOLDFAST_TEST_SEARCH_PART_H_

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/concurrency/adaptive_limiter.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/stack/internal/stack_info.h"
#include "holdfast/timeout/timeout.h"
#include "test/search/slot.h"

namespace holdfast::search {

// How long a policy keeps to what it has learned of a fault once that is over: see StatedTime.
struct Memory {
  std::optional<CircuitBreaker::Options> breaker = {};
  Duration throttle_recovery{0};
  Duration negative_ttl{0};
  std::optional<AdaptiveLimiter::Options> limiter = {};
  std::optional<RetryBudget::Options> budget = {};  // by which it retries or hedges
  bool unbudgeted = false;                          // it retries or hedges without a budget
};

class Part {
 public:
  // What forks is split out of a stack when it is compiled, so it can't be in a slot.
  using Fork = std::variant<std::monostate, Hedge<HedgeAll>, Timeout<true>>;

  template <class P>
  explicit Part(P policy, Memory the_memory = {})
      : info(internal::InfoOf(policy)), memory(std::move(the_memory)) {
    if constexpr (std::same_as<P, Hedge<HedgeAll>> || std::same_as<P, Timeout<true>>) {
      fork = std::move(policy);
    } else {
      slot = Slot(std::move(policy));
    }
  }

  internal::NamedInfo info;
  Memory memory;
  Slot slot;  // or a fork
  Fork fork;
};

// Outermost first. At most one forks; up to kSlots stand on each side of it, and in all where none
// does.
using Parts = std::vector<Part>;
inline constexpr int kSlots = 4;

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_PART_H_
