// What Stack::Describe() and Validate(stack) read and say.
#ifndef HOLDFAST_INTERNAL_STACK_FACTS_H_
#define HOLDFAST_INTERNAL_STACK_FACTS_H_

#include <absl/status/status.h>

#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "holdfast/internal/changes.h"
#include "holdfast/machine.h"
#include "holdfast/policy_facts.h"

namespace holdfast::internal {

struct NamedFacts {
  std::string_view name;  // of the type of policy
  PolicyFacts facts;
};

template <class P>
NamedFacts FactsOf(const P& policy, const Changes& changes = {}) {
  if constexpr (requires {
                  { policy.Facts(changes) } -> std::same_as<PolicyFacts>;
                }) {
    return {.name = PolicyName<P>(), .facts = policy.Facts(changes)};
  } else if constexpr (requires {
                         { policy.Facts() } -> std::same_as<PolicyFacts>;
                       }) {
    return {.name = PolicyName<P>(), .facts = policy.Facts()};
  } else {
    return {.name = PolicyName<P>(), .facts = {}};
  }
}

// Outermost first, as are all of these; as they are after the changes.
template <class... P>
std::vector<NamedFacts> FactsOfAll(const std::tuple<P...>& policies, const Changes& changes) {
  return std::apply(
      [&changes](const P&... policy) {
        return std::vector<NamedFacts>{FactsOf(policy, changes)...};
      },
      policies);
}

std::string DescribeStack(std::span<const NamedFacts> stack);
absl::Status ValidateStack(std::span<const NamedFacts> stack);

}  // namespace holdfast::internal

#endif  // HOLDFAST_INTERNAL_STACK_FACTS_H_
